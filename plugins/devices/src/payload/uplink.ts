import { compact, malformed, type Node, readText, textOf } from "@heddle/payload-codec";
import { type Value, writeTypedJson } from "@heddle/plugin-sdk";
import { storedValue } from "./value.ts";

/** Keys and values of one time, as the rule engine's message body. */
export interface ValueGroup {
  /** ms since the epoch; undefined: the server's time. */
  readonly ts: number | undefined;
  /** UTF-8 JSON of one flat object. */
  readonly body: Uint8Array;
  /** False when `JSON.parse` gives every value its type. */
  readonly typed: boolean;
  readonly points: number;
}

export interface ReadLimits {
  /** Longest string value; 0: no limit. */
  readonly stringLength: number;
}

/** The groups of a telemetry document (device-api 0.4). Fault `device.payload`. */
export function readTelemetry(payload: Uint8Array, limits: ReadLimits): ValueGroup[] {
  const text = textOf(payload);
  const quick = readPlain(text, limits);
  if (quick !== undefined) return quick;
  const node = readText(text);
  if (node.type === "object") return [groupOf(node, limits)];
  if (node.type !== "array")
    throw malformed(`a telemetry document is an object or an array of objects, not ${node.type}`);
  return node.items.map((item) => {
    if (item.type !== "object") throw malformed(`every element of a telemetry array is an object, not ${item.type}`);
    return groupOf(item, limits);
  });
}

/** The flat object of an attribute document (device-api 0.5). Fault `device.payload`. */
export function readAttributes(payload: Uint8Array, limits: ReadLimits): ValueGroup {
  const text = textOf(payload);
  const value = strict(text);
  if (value !== undefined && isObject(value) && isPlain(value, limits)) return flat(text, value);
  const node = readText(text);
  if (node.type !== "object") throw malformed(`an attribute document is an object, not ${node.type}`);
  return typedGroup(undefined, node, limits);
}

/** What nearly every device sends: strict JSON whose numbers are plain, one object or `{ts, values}`. */
function readPlain(text: string, limits: ReadLimits): ValueGroup[] | undefined {
  const value = strict(text);
  if (value === undefined || !isObject(value)) return undefined;
  if (!("ts" in value && "values" in value)) return isPlain(value, limits) ? [flat(text, value)] : undefined;
  const { ts, values } = value;
  if (typeof ts !== "number" || !Number.isSafeInteger(ts) || !isObject(values) || !isPlain(values, limits))
    return undefined;
  return [{ ts, body: Buffer.from(JSON.stringify(values)), typed: false, points: Object.keys(values).length }];
}

/** `25.0`, which is a double, and decimals of more than 15 digits, which may round to an integer. Most documents have no dot at all. */
const tellingDecimal = /\.\d*0(?!\d)|[\d.]{17}/;

/** An exponent that adds fraction digits. */
const tellingExponent = /\d[eE]-/;

/** The document when strict JSON reads it, and no number's spelling says more than its value. */
function strict(text: string): unknown {
  if (text.includes(".") && tellingDecimal.test(text)) return undefined;
  if ((text.includes("e-") || text.includes("E-")) && tellingExponent.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Not an error yet: the lenient reader decides.
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** No nulls to drop, no texts that look like numbers, nothing nested. */
function isPlain(values: Record<string, unknown>, { stringLength }: ReadLimits): boolean {
  for (const key in values) {
    if (!isKey(key)) return false;
    const value = values[key];
    if (typeof value === "boolean" || (typeof value === "number" && isExact(value))) continue;
    if (typeof value !== "string" || mayBeNumber(value)) return false;
    if (stringLength > 0 && value.length > stringLength) return false;
  }
  return true;
}

/** What the stores take for a key. */
const longestKey = 255;
const isKey = (key: string) => key.length > 0 && key.length <= longestKey;

/** Integers beyond 2^53 and very small fractions may have lost digits, and `1e400` all of them. */
function isExact(value: number): boolean {
  if (Number.isInteger(value)) return Number.isSafeInteger(value);
  return (value > 1e-6 || value < -1e-6) && Number.isFinite(value);
}

function mayBeNumber(text: string): boolean {
  const c = text.charCodeAt(0);
  return (c >= 0x30 && c <= 0x39) || c === 0x2d || c === 0x2e;
}

function flat(text: string, value: Record<string, unknown>): ValueGroup {
  return { ts: undefined, body: Buffer.from(text), typed: false, points: Object.keys(value).length };
}

function groupOf(node: Extract<Node, { type: "object" }>, limits: ReadLimits): ValueGroup {
  const ts = node.members.get("ts");
  const values = node.members.get("values");
  if (ts === undefined || values === undefined) return typedGroup(undefined, node, limits);
  if (values.type !== "object") throw malformed(`\`values\` is an object, not ${values.type}`);
  return typedGroup(timestamp(ts), values, limits);
}

/** Numbers, fractions (truncated) and numeric texts (device-api 0.4). */
function timestamp(node: Node): number {
  const text = node.type === "number" ? node.text : node.type === "string" ? node.value : "";
  const ts = text.trim() === "" ? Number.NaN : Math.trunc(Number(text));
  if (!Number.isSafeInteger(ts))
    throw malformed(`\`ts\` is milliseconds since the epoch, not ${compact(node).slice(0, 40)}`);
  return ts;
}

function typedGroup(
  ts: number | undefined,
  node: Extract<Node, { type: "object" }>,
  { stringLength }: ReadLimits,
): ValueGroup {
  const values: Record<string, Value> = {};
  let points = 0;
  for (const [key, member] of node.members) {
    const value = storedValue(member);
    if (value === undefined) continue;
    // The reference acknowledges such a message and loses it (device-api corrections, C1).
    if (!isKey(key)) throw malformed(`a key has 1 to ${longestKey} characters, not ${key.length}`);
    if (typeof value === "string" && stringLength > 0 && value.length > stringLength) {
      throw malformed(`the text of ${key.slice(0, 40)} has ${value.length} characters, the limit is ${stringLength}`);
    }
    Object.defineProperty(values, key, { value, enumerable: true, configurable: true, writable: true });
    points++;
  }
  return { ts, body: Buffer.from(writeTypedJson(values)), typed: true, points };
}
