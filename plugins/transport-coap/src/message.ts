import { generate, type Option, type ParsedPacket, parse } from "coap-packet";

export type Message = ParsedPacket;

/** Undefined for what is no CoAP message; such datagrams are never answered. */
export function decode(bytes: Buffer): Message | undefined {
  return isWellFormed(bytes) ? parse(bytes) : undefined;
}

const typeBits = { con: 0x40, non: 0x50, ack: 0x60, rst: 0x70 } as const;
export type MessageType = keyof typeof typeBits;
const none: Buffer = Buffer.alloc(0);

export interface Heading {
  readonly type: MessageType;
  readonly code: string;
  readonly messageId: number;
  readonly token: Buffer;
}

export function encode({ type, code, messageId, token }: Heading, options: Option[], payload = none): Buffer {
  if (options.length === 0 && payload.length === 0) return bare({ type, code, messageId, token });
  const kind = { confirmable: type === "con", ack: type === "ack", reset: type === "rst" };
  return generate({ ...kind, code, messageId, token, options, payload }, 65_535);
}

export function emptyMessage(type: "ack" | "rst", messageId: number): Buffer {
  return bare({ type, code: "0.00", messageId, token: none });
}

/**
 * Most answers are this short. They come from the shared pool, since they are remembered: a buffer of its own for each
 * costs several times its bytes.
 */
function bare({ type, code, messageId, token }: Heading): Buffer {
  const bytes = Buffer.allocUnsafe(4 + token.length);
  bytes[0] = typeBits[type] | token.length;
  bytes[1] = (Number(code.charAt(0)) << 5) | Number(code.slice(2));
  bytes[2] = messageId >> 8;
  bytes[3] = messageId;
  bytes.set(token, 4);
  return bytes;
}

/** The form of RFC 7252 section 3. The codec reads past the end of cut options and tokens without a word. */
function isWellFormed(bytes: Buffer): boolean {
  const first = bytes[0] ?? 0;
  const code = bytes[1] ?? 0;
  const tokenLength = first & 0x0f;
  if (bytes.length < 4 || first >> 6 !== 1 || tokenLength > 8) return false;
  if (code === 0) return bytes.length === 4 && tokenLength === 0;
  const kind = code >> 5;
  if (kind === 1 || kind > 5) return false;
  return endsOnOption(bytes, 4 + tokenLength);
}

function endsOnOption(bytes: Buffer, start: number): boolean {
  let at = start;
  let number = 0;
  while (at < bytes.length) {
    const head = bytes[at++] as number;
    // The mark of a payload is followed by a payload.
    if (head === 0xff) return at < bytes.length;
    for (const part of [head >> 4, head & 0x0f]) {
      if (part === 15) return false;
    }
    const delta = head >> 4;
    const length = head & 0x0f;
    number += extended(bytes, at, delta);
    at += extraBytes(delta);
    const size = extended(bytes, at, length);
    at += extraBytes(length) + size;
    if (number > 65_535) return false;
  }
  return at === bytes.length;
}

function extraBytes(nibble: number): number {
  return nibble < 13 ? 0 : nibble - 12;
}

/** Bytes behind the end read as 0; the walk has left the datagram then, which its end tells. */
function extended(bytes: Buffer, at: number, nibble: number): number {
  if (nibble < 13) return nibble;
  if (nibble === 13) return (bytes[at] ?? 0) + 13;
  return (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) + 269;
}

/** An unsigned integer as an option holds it: without leading zeros, 0 is no bytes. */
export function uint(value: number): Buffer {
  if (value === 0) return Buffer.alloc(0);
  if (value < 0x100) return Buffer.from([value]);
  if (value < 0x1_0000) return Buffer.from([value >> 8, value & 0xff]);
  if (value < 0x100_0000) return Buffer.from([value >> 16, (value >> 8) & 0xff, value & 0xff]);
  return Buffer.from([value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff]);
}

/** Undefined when the option is too long for `most` bytes. */
export function uintOf(value: Buffer, most: 2 | 3 | 4): number | undefined {
  if (value.length > most) return undefined;
  return value.length === 0 ? 0 : value.readUIntBE(0, value.length);
}
