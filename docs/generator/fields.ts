import type { JsonSchema } from "../../core/src/manifest/json-schema.ts";
import { code, table } from "./markdown.ts";

/** The fields of a configuration as a table; nested objects with dotted names. */
export function fieldTable(schema: JsonSchema): string {
  return table(["field", "type", "default", ""], [...rows(schema, "")]);
}

function* rows(schema: JsonSchema, prefix: string): Generator<readonly string[]> {
  const required = new Set(schema.required ?? []);
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const path = `${prefix}${name}`;
    // A group that says nothing itself is told by its fields.
    const group = Object.keys(field.properties ?? {}).length > 0;
    const silent = group && description(field) === "" && Object.keys(Object(field["default"])).length === 0;
    if (!silent) yield [code(path), typeText(field), defaultText(field, required.has(name)), description(field)];
    yield* rows(field, `${path}.`);
  }
}

const description = (field: JsonSchema): string => String(field["description"] ?? "");

function defaultText(field: JsonSchema, required: boolean): string {
  if ("default" in field) return code(JSON.stringify(field["default"]));
  return required ? "required" : "";
}

/** The type in words, with its bounds. */
function typeText(field: JsonSchema): string {
  const decoding = field["heddleDecode"];
  if (typeof decoding === "string") return decoding;
  const choices = field.anyOf ?? field.oneOf;
  if (choices !== undefined) return [...new Set(choices.map(typeText))].join(" or ");
  if ("const" in field) return code(JSON.stringify(field.const));
  if (field.enum !== undefined) return field.enum.map((one) => code(JSON.stringify(one))).join(" or ");
  if (field.type === "array")
    return field.items === undefined ? "list" : `list of ${typeText(field.items as JsonSchema)}`;
  const type = [field.type ?? "any"].flat().join(" or ");
  return `${type}${bounds(field)}`;
}

function bounds(field: JsonSchema): string {
  const { minimum, maximum } = field as { minimum?: number; maximum?: number };
  if (minimum !== undefined && maximum !== undefined) return `, ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `, from ${minimum}`;
  return maximum === undefined ? "" : `, to ${maximum}`;
}
