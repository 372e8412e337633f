import { malformed, membersOf, type Node, readDocument, scalarText } from "@heddle/payload-codec";
import { Json, readTypedJson, type Value } from "@heddle/plugin-sdk";

export interface ClaimOffer {
  readonly secretKey: string;
  /** ms; absent where the device leaves it to the platform. */
  readonly durationMs?: number;
}

/** Longest secret key. */
const longestKey = 255;

/** What a device sends to be claimed; nothing at all is fine, too. Fault `device.payload` (device-api 6.3). */
export function readOffer(payload: Uint8Array): ClaimOffer {
  const document = readDocument(payload);
  const members: ReadonlyMap<string, Node> = document.type === "null" ? new Map() : membersOf(document, "a claim");
  const secretKey = textOf(members, "secretKey") ?? "";
  if (secretKey.length > longestKey) throw malformed(`the key of a claim has more than ${longestKey} characters`);
  const durationMs = Number(textOf(members, "durationMs") ?? 0);
  if (!Number.isFinite(durationMs)) throw malformed("durationMs of a claim is a number");
  return durationMs > 0 ? { secretKey, durationMs: Math.trunc(durationMs) } : { secretKey };
}

function textOf(members: ReadonlyMap<string, Node>, name: string): string | undefined {
  const node = members.get(name);
  if (node === undefined || node.type === "null") return undefined;
  const text = scalarText(node);
  if (text === undefined) throw malformed(`${name} of a claim is no ${node.type}`);
  return text;
}

/** `{"secretKey", "expirationTime"}` in a server attribute, which an operator has set; undefined for anything else. */
export function offerOfAttribute(value: Value): { readonly secretKey: string; readonly expiresAt: number } | undefined {
  const text = value instanceof Json ? value.text : value;
  if (typeof text !== "string") return undefined;
  try {
    const data = readTypedJson(text) as { secretKey?: unknown; expirationTime?: unknown } | null;
    return { secretKey: String(data?.secretKey ?? ""), expiresAt: Number(data?.expirationTime ?? 0) };
  } catch {
    // No JSON: then it is no offer.
    return undefined;
  }
}
