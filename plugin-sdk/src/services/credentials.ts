import { createHash } from "node:crypto";

/** A PEM text as bare base64: without markers and line breaks (device-api 1.1). */
export function bareCertificate(text: string): string {
  return text.replace(/-----(?:BEGIN|END) [A-Z ]+-----/g, "").replace(/[\r\n]/g, "");
}

/** H(x) of device-api 1.1: SHA3-256 of the text without PEM markers and line breaks, in hex. */
export function credentialsHash(text: string): string {
  return createHash("sha3-256").update(bareCertificate(text), "utf8").digest("hex");
}
