import type protobuf from "protobufjs";
import { malformed } from "../document.ts";
import "./messages.ts";

export type Message = Record<string, any>;

/** Fault `device.payload` with what the bytes were taken for. */
export function decode(type: protobuf.Type, payload: Uint8Array): Message {
  try {
    return type.decode(payload) as Message;
  } catch (cause) {
    throw malformed(`${payload.length} bytes are no Protobuf message ${type.name}: ${(cause as Error).message}`, cause);
  }
}

export function encode(type: protobuf.Type, message: Message): Buffer {
  return Buffer.from(type.encode(type.fromObject(wellFormed(message) as Message)).finish());
}

/** Protobuf texts are UTF-8, which half of a surrogate pair is not: a device would refuse the whole message. */
function wellFormed(value: unknown): unknown {
  if (typeof value === "string") return Buffer.from(value).toString();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, wellFormed(member)]));
}

/** 64-bit integers arrive as objects of two halves, which know their digits. */
export function integerText(value: unknown): string {
  return String(value);
}

/** A double as JSON that is read as a double again: 25 becomes `25.0` (device-api 0.3). */
export function doubleText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  const text = Object.is(value, -0) ? "-0" : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** The shortest decimal that a 32-bit float reads back as the same: 3.3, not 3.299999952316284. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return doubleText(short);
  }
  return doubleText(value);
}
