import {
  type CallOptions,
  type ChecksumAlgorithm,
  invalid,
  type OtaPackageDocument,
  type OtaPackageType,
  otaPackageView,
  type Plain,
  type Static,
  type Stored,
  Type,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { packageFor } from "../access.ts";
import { type Exchange, type Operation, operation, tenantAndCustomer, tenantOnly } from "../operation.ts";
import { PageQuery, pageOf, viewPage } from "../paging.ts";
import { AnyObject, Common, draftId, idOf, Maybe, MaybeRef, MaybeText } from "../schemas.ts";
import type { Services } from "../services.ts";

const types = Type.Union([Type.Literal("FIRMWARE"), Type.Literal("SOFTWARE")]);
const algorithmNames: readonly ChecksumAlgorithm[] = [
  "MD5",
  "SHA256",
  "SHA384",
  "SHA512",
  "CRC32",
  "MURMUR3_32",
  "MURMUR3_128",
];
const algorithms = Type.Union(algorithmNames.map((name) => Type.Literal(name)));
const Info = Type.Object({
  id: Common.id,
  additionalInfo: Maybe(AnyObject),
  deviceProfileId: MaybeRef,
  type: Maybe(types),
  title: MaybeText,
  version: MaybeText,
  tag: MaybeText,
  url: MaybeText,
  fileName: MaybeText,
  contentType: MaybeText,
  checksumAlgorithm: Maybe(algorithms),
  checksum: MaybeText,
  dataSize: Maybe(Type.Integer()),
  isURL: Maybe(Type.Boolean()),
  usesUrl: Maybe(Type.Boolean()),
});
const columns = ["createdTime", "type", "title", "version", "tag", "url", "fileName", "dataSize", "checksum"];
const rules = { search: ["title"], sort: Object.fromEntries(columns.map((name) => [name, name])) };
/** Read and sent at a time. A multiple of three: as base64 the pieces can be joined. */
const pieceBytes = 192 * 1024;

/** Firmware and software (rest-semantics 15.10). */
export function otaPackageOperations(services: Services): Operation[] {
  const { packages, lifecycle } = services;
  const found = (exchange: Exchange) =>
    packageFor(services, { principal: exchange.principal, id: exchange.id("otaPackageId") }, exchange.call);
  const list = async (where: Record<string, string | boolean>, query: Static<typeof PageQuery>, call: CallOptions) => {
    const page = pageOf(query, rules);
    // Without a wish the newest come first (rest-semantics 5.3).
    const sort = query.sortProperty ? page.sort : ({ by: "createdTime", order: "desc" } as const);
    const sorted = sort === undefined ? page : { ...page, sort };
    return { json: viewPage(await packages.packages.find({ ...sorted, where }, call), page, otaPackageView) };
  };

  return [
    operation({
      method: "POST",
      path: "/api/otaPackage",
      who: tenantOnly,
      body: Info,
      run: async ({ principal, body, call }) => {
        const info = infoOf(body);
        if (info.id !== undefined) await packageFor(services, { principal, id: info.id }, call);
        const saved = await packages.save({ tenantId: principal.tenantId, info, by: principal }, call);
        // The answer tells of bytes only, later ones also of links: so clients know it.
        return { json: { ...otaPackageView(saved), hasData: typeof saved.value.dataId === "string" } };
      },
    }),
    operation({
      method: "POST",
      path: "/api/otaPackage/:otaPackageId",
      who: tenantOnly,
      multipart: true,
      untimed: true,
      query: Type.Object({ checksum: Type.Optional(Type.String()), checksumAlgorithm: Type.String() }),
      run: async (exchange) => {
        const { principal, query, call } = exchange;
        const checksumAlgorithm = algorithmOf(query.checksumAlgorithm);
        const { id: packageId } = (await found(exchange)).value;
        const file = await exchange.upload();
        const sum = query.checksum === undefined || query.checksum === "" ? {} : { checksum: query.checksum };
        const what = { ...file, ...sum, packageId, checksumAlgorithm, tenantId: principal.tenantId, by: principal };
        return { json: otaPackageView(await packages.saveData(what, call)) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/otaPackage/info/:otaPackageId",
      who: tenantAndCustomer,
      run: async (exchange) => ({ json: otaPackageView(await found(exchange)) }),
    }),
    operation({
      method: "GET",
      path: "/api/otaPackage/:otaPackageId",
      who: tenantOnly,
      run: async (exchange) => {
        const stored = await found(exchange);
        if (typeof stored.value.dataId !== "string") return { json: { ...otaPackageView(stored), data: null } };
        return { type: "application/json", bytes: withData(services, stored, exchange.call) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/otaPackage/:otaPackageId/download",
      who: tenantOnly,
      run: async (exchange) => {
        const { value } = await found(exchange);
        if (value.url !== null) return { status: 400 };
        if (!value.hasData) throw invalid("OtaPackage data should be specified!");
        const name = encodeURIComponent(value.fileName ?? value.title).replaceAll("%20", " ");
        return {
          type: value.contentType ?? "application/octet-stream",
          headers: {
            "content-disposition": `attachment;filename=${name}`,
            "x-filename": name,
            "content-length": String(value.dataSize ?? 0),
          },
          bytes: bytesOf(services, value, exchange.call),
        };
      },
    }),
    operation({
      method: "DELETE",
      path: "/api/otaPackage/:otaPackageId",
      who: tenantOnly,
      run: async (exchange) => {
        const { principal, call } = exchange;
        const { tenantId } = principal;
        const { id: packageId } = (await found(exchange)).value;
        await packages.remove({ tenantId, packageId, by: principal }, call);
        const entity = { entityType: "OTA_PACKAGE", id: packageId };
        await lifecycle.remove({ tenantId, entity, by: principal }, call);
        return undefined;
      },
    }),
    operation({
      method: "GET",
      path: "/api/otaPackages",
      who: tenantAndCustomer,
      query: PageQuery,
      run: ({ principal: { tenantId }, query, call }) => list({ tenantId }, query, call),
    }),
    operation({
      method: "GET",
      path: "/api/otaPackages/:deviceProfileId/:type",
      who: tenantAndCustomer,
      query: PageQuery,
      run: ({ principal: { tenantId }, id, param, query, call }) => {
        const where = { tenantId, deviceProfileId: id("deviceProfileId"), type: packageType(param("type")) };
        return list({ ...where, hasData: true }, query, call);
      },
    }),
  ];
}

export function packageType(text: string): OtaPackageType {
  if (text !== "FIRMWARE" && text !== "SOFTWARE") {
    throw invalid(`Ota package type '${text.slice(0, 60)}' is not supported!`);
  }
  return text;
}

function algorithmOf(text: string): ChecksumAlgorithm {
  const name = text.toUpperCase();
  const found = algorithmNames.find((algorithm) => algorithm === name);
  if (found === undefined) throw invalid(`Checksum algorithm '${text.slice(0, 60)}' is not supported!`);
  return found;
}

function infoOf(body: Static<typeof Info>): Partial<OtaPackageDocument> {
  const { id, deviceProfileId, isURL, usesUrl, url, ...rest } = body;
  if ((isURL === true || usesUrl === true) && (url ?? "").trim() === "") {
    throw invalid("Ota package URL should be specified!");
  }
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined && value !== null));
  return { ...given, ...draftId(id), deviceProfileId: idOf(deviceProfileId), url: url ?? null };
}

async function* bytesOf(
  { packages }: Services,
  { id, dataSize }: OtaPackageDocument,
  call: CallOptions,
): AsyncGenerator<Buffer> {
  const size = dataSize ?? 0;
  for (let from = 0; from < size; from += pieceBytes) {
    yield await packages.read(id, { from, to: Math.min(from + pieceBytes, size) }, call);
  }
}

/** The package with its bytes as a member; never as a whole in memory. */
async function* withData(
  services: Services,
  stored: Stored<OtaPackageDocument>,
  call: CallOptions,
): AsyncGenerator<Buffer> {
  const head = writeTypedJson(otaPackageView(stored) as unknown as Plain);
  yield Buffer.from(`${head.slice(0, -1)},"data":"`);
  for await (const piece of bytesOf(services, stored.value, call)) yield Buffer.from(piece.toString("base64"));
  yield Buffer.from('"}');
}
