import { childSchemas, type JsonSchema, typesOf } from "./json-schema.ts";
import type { Scalar, Tree } from "./tree.ts";

/**
 * The plain value of a tree. Texts that an interpolation or `--set` brought take the type of their field; a text that
 * does not fit stays a text, and validation says so.
 */
export function toValue(tree: Tree, schemas: readonly JsonSchema[]): unknown {
  if (tree.kind === "list") return tree.items.map((item, index) => toValue(item, childSchemas(schemas, index)));
  if (tree.kind === "map") {
    const entries = [...tree.entries].map(([key, entry]) => [key, toValue(entry.value, childSchemas(schemas, key))]);
    return Object.fromEntries(entries);
  }
  return tree.text === undefined ? tree.value : converted(tree, tree.text, typesOf(schemas));
}

function converted(scalar: Scalar, text: string, types: ReadonlySet<string>): unknown {
  if (types.size === 0) return scalar.value;
  const trimmed = text.trim();
  if ((types.has("integer") || types.has("number")) && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(trimmed)) {
    const number = Number(trimmed);
    if (types.has("number") || Number.isSafeInteger(number)) return number;
  }
  if (types.has("boolean") && (trimmed === "true" || trimmed === "false")) return trimmed === "true";
  return types.has("string") ? text : scalar.value;
}
