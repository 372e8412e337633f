/** The header that a load balancer puts before what its client sends (PROXY protocol, versions 1 and 2). */
export type ProxyHeader =
  | { readonly kind: "partial" }
  | { readonly kind: "bad" }
  /** `address` is undefined where the balancer speaks for itself. */
  | { readonly kind: "whole"; readonly bytes: number; readonly address: string | undefined };

const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
/** Longest line of version 1, with its end. */
const longestLine = 107;
const partial: ProxyHeader = { kind: "partial" };
const bad: ProxyHeader = { kind: "bad" };

export function readProxyHeader(bytes: Buffer): ProxyHeader {
  const begun = Math.min(bytes.length, signature.length);
  if (bytes.subarray(0, begun).equals(signature.subarray(0, begun))) {
    return bytes.length < 16 ? partial : binary(bytes);
  }
  if (!"PROXY ".startsWith(bytes.toString("latin1", 0, Math.min(6, bytes.length)))) return bad;
  const end = bytes.indexOf("\r\n");
  if (end < 0) return bytes.length > longestLine ? bad : partial;
  return end > longestLine ? bad : line(bytes.toString("latin1", 0, end), end + 2);
}

function line(text: string, bytes: number): ProxyHeader {
  const [, family, source] = text.split(" ");
  if (family === "UNKNOWN") return { kind: "whole", bytes, address: undefined };
  if ((family !== "TCP4" && family !== "TCP6") || source === undefined || source === "") return bad;
  return { kind: "whole", bytes, address: source };
}

function binary(bytes: Buffer): ProxyHeader {
  const [versionAndCommand = 0, family = 0] = [bytes[12], bytes[13]];
  const length = bytes.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2 || (versionAndCommand & 0xf) > 1) return bad;
  if (bytes.length < 16 + length) return partial;
  const whole = { kind: "whole", bytes: 16 + length } as const;
  const local = (versionAndCommand & 0xf) === 0;
  if (!local && family >> 4 === 1 && length >= 12) return { ...whole, address: [...bytes.subarray(16, 20)].join(".") };
  if (!local && family >> 4 === 2 && length >= 36) return { ...whole, address: ipv6(bytes.subarray(16, 32)) };
  return { ...whole, address: undefined };
}

function ipv6(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(":");
}
