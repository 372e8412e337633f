import {
  castText,
  checkTexts,
  Double,
  Fault,
  isFault,
  Json,
  numberValue,
  type Plain,
  readTypedJson,
  type Value,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { plainFault } from "./operation.ts";

export interface Row {
  readonly ts: number;
  readonly values: Record<string, Value>;
}

type Members = Readonly<Record<string, Plain>>;

/** The body with typed numbers; undefined when it is not JSON. */
function parsed(text: string): { readonly value: Plain } | undefined {
  try {
    return { value: readTypedJson(text, numberValue) };
  } catch {
    // The caller says so in the words of its operation.
    return undefined;
  }
}

function isObject(value: Plain): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Double);
}

function storedValue(plain: Plain): Value {
  if (plain === null || plain === undefined) throw unreadable("null");
  if (typeof plain === "string") return castText(plain);
  if (Array.isArray(plain) || isObject(plain)) return new Json(writeTypedJson(plain));
  return plain as Value;
}

function unreadable(text: string): Fault {
  return new Fault("invalid", "api.value", `Can't parse value: ${text}`);
}

function valuesOf(members: Members): Record<string, Value> {
  const values: Record<string, Value> = Object.create(null);
  for (const [key, member] of Object.entries(members)) values[key] = storedValue(member);
  return values;
}

/** Rows of a time series body (rest-semantics 8.6); faults are plain texts. */
export function readRows(text: string, now: number): Row[] {
  const body = parsed(text);
  if (body === undefined) throw plainFault("invalid", "Unable to parse time series payload: Invalid JSON body!");
  let rows: Row[];
  try {
    rows = Array.isArray(body.value) ? body.value.map((item) => rowOf(item, now)) : [rowOf(body.value, now)];
  } catch (error) {
    if (!isFault(error) || error.code !== "api.value") throw error;
    throw plainFault("invalid", `Unable to parse time series payload. Invalid JSON body: ${error.message}`);
  }
  const filled = rows.filter(({ values }) => Object.keys(values).length > 0);
  if (filled.length === 0) throw plainFault("invalid", "No time series data found in request body!");
  for (const { values } of filled) for (const key of Object.keys(values)) checkKey(key, "Key can't be null or empty");
  return filled;
}

function rowOf(item: Plain, now: number): Row {
  if (!isObject(item)) throw unreadable(writeTypedJson(item));
  const { ts, values } = item;
  if (ts === undefined || values === undefined) return { ts: now, values: valuesOf(item) };
  if (!isObject(values)) throw new Fault("invalid", "api.value", `Not a JSON Object: ${writeTypedJson(values)}`);
  const at = typeof ts === "string" ? Number(ts.trim() === "" ? Number.NaN : ts) : Number(ts);
  if (!Number.isSafeInteger(at)) throw new Fault("invalid", "api.value", `For input string: ${writeTypedJson(ts)}`);
  return { ts: at, values: valuesOf(values) };
}

/** Values of an attributes body (rest-semantics 8.3); faults are plain texts. */
export function readAttributes(text: string): Record<string, Value> {
  const body = parsed(text);
  if (body === undefined) throw plainFault("invalid", "Invalid JSON");
  if (!isObject(body.value)) throw plainFault("invalid", "Request is not a JSON object");
  const values = valuesOf(body.value);
  const keys = Object.keys(values);
  if (keys.length === 0) throw plainFault("invalid", "No attributes data found in request body!");
  for (const key of keys) checkKey(key, "Key cannot be blank");
  return values;
}

function checkKey(key: string, blank: string): void {
  if (key.trim() === "") throw plainFault("invalid", blank);
  try {
    checkTexts({ key });
  } catch (error) {
    throw isFault(error) ? plainFault("invalid", error.message) : error;
  }
}
