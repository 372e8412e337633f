import { Double, double, Json, type Value } from "@heddle/plugin-sdk";

/**
 * A value as one cell: a byte for the kind, then its bytes. One cell, because a change of type then replaces the whole
 * value in one write and leaves no cell of the former type behind. The numbers are stored, never reuse one.
 */
const kind = { no: 0, yes: 1, long: 2, bigLong: 3, wideLong: 4, double: 5, text: 6, json: 7, digits: 8 } as const;

export function encodeValue(value: Value): Buffer {
  switch (typeof value) {
    case "boolean":
      return Buffer.of(value ? kind.yes : kind.no);
    case "number":
      return encodeNumber(value);
    case "bigint":
      return encodeBig(value);
    case "string":
      return encodeText(kind.text, value);
    default:
      return value instanceof Double ? eightBytes(kind.double, value.value) : encodeText(kind.json, value.text);
  }
}

function encodeNumber(value: number): Buffer {
  if (!Number.isInteger(value)) return eightBytes(kind.double, value);
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) return eightBytes(kind.wideLong, value);
  const bytes = Buffer.allocUnsafe(9);
  bytes[0] = kind.long;
  // Two halves: a bigint for each point would cost more than the rest of the encoding.
  const high = Math.floor(value / 4_294_967_296);
  bytes.writeInt32BE(high, 1);
  bytes.writeUInt32BE(value - high * 4_294_967_296, 5);
  return bytes;
}

function encodeBig(value: bigint): Buffer {
  if (BigInt.asIntN(64, value) !== value) return encodeText(kind.digits, String(value));
  const bytes = Buffer.allocUnsafe(9);
  bytes[0] = kind.bigLong;
  bytes.writeBigInt64BE(value, 1);
  return bytes;
}

function eightBytes(code: number, value: number): Buffer {
  const bytes = Buffer.allocUnsafe(9);
  bytes[0] = code;
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function encodeText(code: number, text: string): Buffer {
  const bytes = Buffer.allocUnsafe(1 + Buffer.byteLength(text));
  bytes[0] = code;
  bytes.write(text, 1);
  return bytes;
}

export function decodeValue(bytes: Buffer): Value {
  switch (bytes[0]) {
    case kind.no:
      return false;
    case kind.yes:
      return true;
    case kind.long:
      return bytes.readInt32BE(1) * 4_294_967_296 + bytes.readUInt32BE(5);
    case kind.bigLong:
      return bytes.readBigInt64BE(1);
    case kind.wideLong:
      return bytes.readDoubleBE(1);
    case kind.double:
      return double(bytes.readDoubleBE(1));
    case kind.text:
      return bytes.toString("utf8", 1);
    case kind.json:
      return new Json(bytes.toString("utf8", 1));
    case kind.digits:
      return BigInt(bytes.toString("utf8", 1));
    default:
      throw new Error(`a stored value has the unknown kind ${bytes[0]}; a newer version has written it`);
  }
}
