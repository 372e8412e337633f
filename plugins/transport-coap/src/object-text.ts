/**
 * Whether a lenient reader could take the bytes for an object (device-api 0.2). Decided by the braces: what stands
 * between them is for the caller, who gets the text as it is.
 */
export function isObjectText(payload: Uint8Array): boolean {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    .toString("utf8")
    .replace(/^\uFEFF?(\)\]\}'\r?\n)?/, "")
    .trim();
  return text.startsWith("{") && text.endsWith("}");
}
