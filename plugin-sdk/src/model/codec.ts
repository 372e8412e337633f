import { Decoder, Encoder, ExtensionCodec } from "@msgpack/msgpack";
import { Double, Json, type Plain } from "./plain.ts";

/** MessagePack extension types of frames and lane records; never reuse a number. */
const jsonType = 1;
const bigintType = 2;

const utf8 = new TextEncoder();
const text = new TextDecoder();

const extensions = new ExtensionCodec();
extensions.register({
  type: jsonType,
  encode: (value) => (value instanceof Json ? utf8.encode(value.text) : null),
  decode: (data) => new Json(text.decode(data)),
});
extensions.register({
  type: bigintType,
  encode: (value) => (typeof value === "bigint" ? utf8.encode(value.toString()) : null),
  decode: (data) => BigInt(text.decode(data)),
});
const doubleType = 3;
extensions.register({
  type: doubleType,
  encode: (value) => {
    if (!(value instanceof Double)) return null;
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value.value);
    return bytes;
  },
  decode: (data) => new Double(new DataView(data.buffer, data.byteOffset, 8).getFloat64(0)),
});

const encoder = new Encoder({ extensionCodec: extensions, ignoreUndefined: true });
const decoder = new Decoder({ extensionCodec: extensions });

/** MessagePack bytes of a value. Throws `TypeError` for what is not `Plain` (functions, symbols). */
export function encodePlain(value: Plain): Uint8Array {
  return encoder.encode(value);
}

/** The value of MessagePack bytes. Throws `RangeError` when they are cut or carry more than one value. */
export function decodePlain(bytes: Uint8Array): Plain {
  return decoder.decode(bytes) as Plain;
}
