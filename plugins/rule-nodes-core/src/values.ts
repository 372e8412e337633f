import { Double, Json, type Msg, type Plain, type Value, writeTypedJson } from "@heddle/plugin-sdk";

/** The body as values by key; null members are left out, objects and arrays become JSON values (runtime 12.2). */
export function valuesOf(data: Plain): Record<string, Value> {
  if (!isObject(data)) return {};
  for (const key in data) if (!isScalar(data[key])) return converted(data);
  return data as Record<string, Value>;
}

function converted(data: Readonly<Record<string, Plain>>): Record<string, Value> {
  const values: [string, Value][] = [];
  for (const [key, value] of Object.entries(data)) {
    if (value === null || value === undefined) continue;
    values.push([key, isScalar(value) ? value : new Json(writeTypedJson(value))]);
  }
  return Object.fromEntries(values);
}

function isScalar(value: Plain): value is Value {
  switch (typeof value) {
    case "boolean":
    case "number":
    case "bigint":
    case "string":
      return true;
    default:
      return value instanceof Double || value instanceof Json;
  }
}

export function isObject(data: Plain): data is { readonly [key: string]: Plain } {
  return (
    typeof data === "object" &&
    data !== null &&
    !Array.isArray(data) &&
    !isScalar(data) &&
    !(data instanceof Uint8Array)
  );
}

export function isEmpty(values: Readonly<Record<string, unknown>>): boolean {
  for (const _ in values) return false;
  return true;
}

export function textOf(msg: Msg): string {
  return msg.dataType === "JSON" ? writeTypedJson(msg.data) : String(msg.data);
}
