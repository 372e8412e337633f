import type { SqlValue } from "@heddle/sqlite-driver/worker";

/** The fields of a collection's lists, each once; they have columns of their own. */
export const fieldsOf = (lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())];

/** What a condition compares; objects, like missing fields, count as null. */
export function fieldValue(document: unknown, field: string): SqlValue {
  let value: unknown = document;
  for (const part of field.split(".")) {
    if (value === null || typeof value !== "object") return null;
    value = (value as Record<string, unknown>)[part];
  }
  return scalar(value);
}

export function scalar(value: unknown): SqlValue {
  switch (typeof value) {
    case "string":
    case "bigint":
      return value;
    case "number":
      return Object.is(value, -0) ? 0 : value;
    case "boolean":
      return value ? 1 : 0;
    default: {
      const plain = value?.valueOf();
      return typeof plain === "number" ? plain : null;
    }
  }
}

/** What sorting and searching see: SQLite itself folds ASCII only. */
export const fold = (value: SqlValue): SqlValue => (typeof value === "string" ? value.toLowerCase() : value);
