import { Double, double, Json, type Value } from "@heddle/plugin-sdk";
import { kind } from "./points.ts";

/** The kind of a value, and either its number or its text. */
export function kindOf(value: Value): number {
  switch (typeof value) {
    case "number":
      return Number.isInteger(value) ? kind.long : kind.double;
    case "string":
      return kind.string;
    case "boolean":
      return kind.boolean;
    case "bigint":
      return kind.bigLong;
    default:
      return value instanceof Double ? kind.double : kind.json;
  }
}

export const textOf = (value: Value): string => (value instanceof Json ? value.text : String(value));

export function typedValue(code: number, stored: number | string): Value {
  switch (code) {
    case kind.boolean:
      return stored === 1;
    case kind.double:
      return double(stored as number);
    case kind.json:
      return new Json(stored as string);
    case kind.bigLong:
      return BigInt(stored);
    default:
      return stored;
  }
}
