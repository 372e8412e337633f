import { createHash } from "node:crypto";
import type { Condition, Query, Scalar } from "@heddle/plugin-sdk";

/** What a condition compares; objects, like missing fields, count as null. */
export function fieldOf(document: unknown, field: string): Scalar {
  let value: unknown = document;
  for (const part of field.split(".")) {
    if (value === null || typeof value !== "object") return null;
    value = (value as Record<string, unknown>)[part];
  }
  const plain = typeof value === "object" ? value?.valueOf() : value;
  return plain === undefined || typeof plain === "object" ? null : (plain as Scalar);
}

/** Longer keys are replaced by their hash: partition keys are short. */
const longestKey = 1_000;

/** The values as part of a partition key; equal for values that are equal, and for no others. */
export function keyOf(values: readonly unknown[]): string {
  const text = JSON.stringify(values.map(keyPart));
  return text.length <= longestKey ? text : `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

function keyPart(value: unknown): unknown {
  if (typeof value === "bigint") return { big: String(value) };
  return Object.is(value, -0) ? 0 : value;
}

export function matches(document: unknown, { where = {}, search }: Query): boolean {
  for (const field in where) if (!holds(fieldOf(document, field), where[field] as Condition)) return false;
  if (search === undefined || search.text === "") return true;
  const text = search.text.toLowerCase();
  return search.fields.some((field) => {
    const value = fieldOf(document, field);
    return typeof value === "string" && value.toLowerCase().includes(text);
  });
}

function holds(value: Scalar, condition: Condition): boolean {
  if (condition === null || typeof condition !== "object") return value === condition;
  if ("in" in condition) return condition.in.includes(value);
  const { gte, lt } = condition;
  // A bound says nothing about values of another type.
  const comparable = (bound: Scalar | undefined) => bound === undefined || typeof bound === typeof value;
  if (value === null || !comparable(gte) || !comparable(lt)) return false;
  return (gte === undefined || inOrder(value, gte) >= 0) && (lt === undefined || inOrder(value, lt) < 0);
}

/** What sorting sees. */
export const folded = (value: Scalar): Scalar => (typeof value === "string" ? value.toLowerCase() : value);

/** Null, then numbers and booleans, then texts. */
export function inOrder(a: Scalar, b: Scalar): number {
  const rank = (value: Scalar) => (value === null ? 0 : typeof value === "string" ? 2 : 1);
  if (rank(a) !== rank(b) || a === null || b === null) return rank(a) - rank(b);
  return a < b ? -1 : a > b ? 1 : 0;
}
