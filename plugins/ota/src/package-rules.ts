import { checkTexts, invalid, type OtaPackageDocument, requireText } from "@heddle/plugin-sdk";

type Given = Partial<OtaPackageDocument>;
/** What a user says of a package; the rest comes with its bytes. */
export type PackageContent = Pick<
  OtaPackageDocument,
  "deviceProfileId" | "type" | "title" | "version" | "tag" | "url" | "externalId" | "additionalInfo"
>;

/** A package as it may be stored; faults with the texts of rest-semantics 6. Its profile is checked elsewhere. */
export function packageContent(given: Given): PackageContent {
  const title = requireText("OtaPackage title", given.title);
  const { type, tag = null, externalId = null, deviceProfileId = null, additionalInfo = null } = given;
  if (type === undefined || type === null) throw invalid("Type should be specified!");
  const version = requireText("OtaPackage version", given.version);
  const url = given.url?.trim() || null;
  checkTexts({ title, version, tag });
  if (url !== null && url.length > longestUrl) {
    throw invalid(`Validation error: url length must be equal or less than ${longestUrl}`);
  }
  return { title, version, type, tag: tag === "" ? null : tag, url, deviceProfileId, externalId, additionalInfo };
}

const longestUrl = 255;

/** What never changes, and how messages call it. */
const frozen = {
  type: "type",
  title: "otaPackage title",
  version: "otaPackage version",
  tag: "otaPackage tag",
  deviceProfileId: "otaPackage deviceProfile",
} as const;
/** What comes with the bytes; clients that send it back leave it as it is. */
const ofData = {
  fileName: "otaPackage file name",
  contentType: "otaPackage content type",
  checksumAlgorithm: "otaPackage content type",
  checksum: "otaPackage content type",
  dataSize: "otaPackage data size",
} as const;

/** What devices may have fetched must stay what it was (rest-semantics 15.10). */
export function checkUpdate(before: OtaPackageDocument, content: PackageContent, given: Given): void {
  for (const field of Object.keys(frozen) as (keyof typeof frozen)[]) {
    if (before[field] !== content[field]) throw prohibited(frozen[field]);
  }
  for (const field of Object.keys(ofData) as (keyof typeof ofData)[]) {
    const value = given[field];
    if (value !== undefined && value !== null && value !== before[field]) throw prohibited(ofData[field]);
  }
  if (before.hasData && before.url !== content.url) throw prohibited("otaPackage URL");
}

const prohibited = (what: string) => invalid(`Updating ${what} is prohibited!`);

/** Before a byte is read. */
export function checkUpload(
  found: OtaPackageDocument,
  { fileName, contentType }: { readonly fileName: string; readonly contentType: string },
): void {
  if (found.url !== null) throw invalid("File can't be saved if URL present!");
  if (found.hasData) throw prohibited("otaPackage content type");
  if (fileName === "") throw invalid("OtaPackage file name should be specified!");
  if (contentType === "") throw invalid("OtaPackage content type should be specified!");
  checkTexts({ fileName, contentType });
}
