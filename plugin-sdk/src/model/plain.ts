/**
 * A double that happens to be integral, such as `25.0`. A JavaScript number cannot tell it from the integer 25, and the
 * platform stores and prints the two differently (device-api 0.3).
 */
export class Double {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  valueOf(): number {
    return this.value;
  }

  toJSON(): number {
    return this.value;
  }
}

/** A JSON object or array kept as compact text: member order and number spelling survive (device-api 0.3). */
export class Json {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  parse(): unknown {
    return JSON.parse(this.text);
  }

  toJSON(): unknown {
    return this.parse();
  }
}

/** What may cross between nodes and through lanes. */
export type Plain =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Double
  | Json
  | readonly Plain[]
  | { readonly [key: string]: Plain };

/**
 * A stored value (device-api 0.3). BOOLEAN: boolean. LONG: an integral number, or a bigint beyond 2^53. DOUBLE: a number
 * with a fraction, or a `Double`. STRING: string. JSON: `Json`.
 */
export type Value = boolean | number | bigint | string | Double | Json;
export type ValueType = "BOOLEAN" | "LONG" | "DOUBLE" | "STRING" | "JSON";

export function valueType(value: Value): ValueType {
  switch (typeof value) {
    case "boolean":
      return "BOOLEAN";
    case "bigint":
      return "LONG";
    case "string":
      return "STRING";
    case "number":
      return Number.isInteger(value) ? "LONG" : "DOUBLE";
    default:
      return value instanceof Double ? "DOUBLE" : "JSON";
  }
}

/** A double as the value type that keeps it one. */
export function double(value: number): number | Double {
  return Number.isInteger(value) ? new Double(value) : value;
}

/** The value as a number, or undefined when it has none. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  return value instanceof Double ? value.value : undefined;
}

/**
 * The value as text, as REST and WebSocket answers carry it: doubles always show a fraction or an exponent, in the
 * notation of the reference (plain from 1e-3 to 1e7, `1.0E7` outside).
 */
export function valueText(value: Value): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return Number.isInteger(value) ? integerText(value) : doubleText(value);
  if (value instanceof Double) return doubleText(value.value);
  if (value instanceof Json) return value.text;
  return String(value);
}

function integerText(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
}

function doubleText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e7)) return Number.isInteger(value) ? `${value}.0` : String(value);
  const [digits = "0", exponent = "0"] = value.toExponential().split("e");
  return `${digits.includes(".") ? digits : `${digits}.0`}E${Number(exponent)}`;
}

/**
 * The value as JSON text with its native type: `25.0` stays `25.0`, long integers keep every digit. NaN and the infinities,
 * which JSON cannot spell, are null, as `JSON.stringify` has them.
 */
export function valueJson(value: Value): string {
  const number = numberOf(value);
  if (number !== undefined && !Number.isFinite(number)) return "null";
  return typeof value === "string" ? JSON.stringify(value) : valueText(value);
}
