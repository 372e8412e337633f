import { createRequire } from "node:module";
import { inspect } from "node:util";
import type { SchemaOptions, StringOptions, TUnsafe } from "@sinclair/typebox";

// One CommonJS graph instead of a hundred ES modules: a loader that reads sources, as tsx does, asks for each of them.
const { Type } = createRequire(import.meta.url)("@sinclair/typebox") as typeof import("@sinclair/typebox");

/** A text that no log, JSON or inspection shows; only `reveal` does. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return "***";
  }

  toJSON(): string {
    return "***";
  }

  [inspect.custom](): string {
    return "***";
  }
}

/** Keyword by which the host finds the fields that it decodes after validation. */
export const decodeKeyword = "heddleDecode";
export type Decoding = "duration" | "bytes" | "secret";

const decoded = <T>(decoding: Decoding, options: SchemaOptions): TUnsafe<T> =>
  Type.Unsafe<T>({ ...options, [decodeKeyword]: decoding });

/** `"250ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`, or a number of milliseconds; read as milliseconds. */
export const Duration = (options: SchemaOptions = {}): TUnsafe<number> =>
  decoded("duration", { type: ["string", "integer"], pattern: "^\\d+(\\.\\d+)?(ms|s|m|h|d)$", minimum: 0, ...options });

/** `"64KB"`, `"16MB"`, `"2GB"` (powers of 1024), or a number of bytes; read as bytes. */
export const Bytes = (options: SchemaOptions = {}): TUnsafe<number> =>
  decoded("bytes", { type: ["string", "integer"], pattern: "^\\d+(\\.\\d+)?(B|KB|MB|GB)$", minimum: 0, ...options });

/** A text that becomes a `Secret`. */
export const SecretString = (options: StringOptions = {}): TUnsafe<Secret> =>
  decoded("secret", { type: "string", ...options });

/** A TCP or UDP port; 0 lets the system choose. */
export const Port = (options: SchemaOptions = {}) => Type.Integer({ minimum: 0, maximum: 65_535, ...options });

const durationUnits: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const byteUnits: Record<string, number> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** Milliseconds of a duration as a manifest writes it; the text has passed the schema. */
export function parseDuration(text: string | number): number {
  return typeof text === "number" ? text : withUnit(text, durationUnits);
}

/** Bytes of a size as a manifest writes it; the text has passed the schema. */
export function parseBytes(text: string | number): number {
  return typeof text === "number" ? text : withUnit(text, byteUnits);
}

function withUnit(text: string, units: Record<string, number>): number {
  const unit = /[A-Za-z]+$/.exec(text)?.[0] ?? "";
  return Math.round(Number.parseFloat(text) * (units[unit] ?? 1));
}

export type { Static, TObject, TSchema } from "@sinclair/typebox";
export { Type };
