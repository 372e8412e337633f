import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { bareCertificate, credentialsHash, invalid } from "@heddle/plugin-sdk";

type Members = Readonly<Record<string, unknown>>;

export interface ProvisionSettings {
  readonly provisionDeviceKey: string | null;
  readonly configuration: Members;
}

/** How devices of a profile may come to be; faults name what is wrong (device-api 1.6, 6.2). */
export function provisionSettings(given: {
  readonly type: string;
  readonly key: string | null;
  readonly configuration: Members | undefined;
}): ProvisionSettings {
  const { type, key } = given;
  const configuration: Members = { provisionDeviceSecret: null, ...given.configuration, type };
  if (type !== "X509_CERTIFICATE_CHAIN") return { provisionDeviceKey: key, configuration };
  checkPattern(configuration["certificateRegExPattern"]);
  const certificate = certificateOf(configuration["provisionDeviceSecret"]);
  if (wellKnown().has(certificate)) throw invalid("Device profile certificate cannot be well known root CA!");
  return {
    provisionDeviceKey: credentialsHash(certificate),
    configuration: {
      certificateRegExPattern: null,
      allowCreateNewDevicesByX509Certificate: false,
      ...configuration,
    },
  };
}

/** Base64 of the DER; of a chain the first certificate. */
function certificateOf(secret: unknown): string {
  if (typeof secret !== "string" || secret.trim() === "") {
    throw invalid("Device profile certificate should be specified!");
  }
  const source = secret.includes("-----BEGIN") ? secret : Buffer.from(secret, "base64");
  try {
    return new X509Certificate(source).raw.toString("base64");
  } catch (cause) {
    throw invalid(`Device profile certificate can't be read: ${(cause as Error).message.slice(0, 100)}`);
  }
}

function checkPattern(pattern: unknown): void {
  if (pattern === undefined || pattern === null) return;
  if (typeof pattern !== "string") throw invalid("Device profile certificate pattern should be a text!");
  try {
    new RegExp(pattern);
  } catch (cause) {
    throw invalid(`Device profile certificate pattern can't be used: ${(cause as Error).message.slice(0, 200)}`);
  }
}

let known: ReadonlySet<string> | undefined;

/** Whoever may buy a certificate of a public authority must not become somebody's device. */
function wellKnown(): ReadonlySet<string> {
  known ??= new Set(rootCertificates.map(bareCertificate));
  return known;
}
