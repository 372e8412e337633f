import { Double, Json, type Plain, valueJson } from "./plain.ts";

/**
 * Strict JSON whose numbers keep their type: `25.0` reads as `Double`, integers beyond 2^53 as bigint. Everything else
 * reads as `JSON.parse` does. `read` turns the source text of a number that needs care into its value. Throws `SyntaxError`.
 */
export function readTypedJson(text: string, read: (number: string) => Plain = typedNumber): Plain {
  if (!needsTyping(text)) return JSON.parse(text) as Plain;
  // The source text of numbers is not offered to revivers on Node 20: wrap the ones that need care as tagged strings first.
  return JSON.parse(tagNumbers(text), (_key, value) => revive(value, read)) as Plain;
}

/** True when some number's text says more than its double: a trailing `.0`, an exponent, or more than 15 digits. */
export function needsTyping(text: string): boolean {
  return /\d\.\d*0(?!\d)|\d[eE]|\d{16}|[\d.]{17}/.test(text);
}

/** A control character as JSON spells it: no member text begins with one by accident, since raw ones are not JSON. */
const tag = "\\u0001";
const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function tagNumbers(text: string): string {
  return text.replace(token, (found, at: number) => {
    if (found.charCodeAt(0) === 0x22) {
      // A text that begins with the tag itself gets it doubled; names of members are never revived, so they stay.
      const doubled =
        found.startsWith(`"${tag}`) && !/^\s*:/.test(text.slice(at + found.length, at + found.length + 64));
      return doubled ? `"${tag}${found.slice(1)}` : found;
    }
    return Number.isSafeInteger(Number(found)) && /^-?\d+$/.test(found) ? found : `"${tag}${found}"`;
  });
}

function revive(value: unknown, read: (number: string) => Plain): unknown {
  if (typeof value !== "string" || value.charCodeAt(0) !== 1) return value;
  const text = value.slice(1);
  return text.charCodeAt(0) === 1 ? text : read(text);
}

const maxLong = 2n ** 63n - 1n;
const minLong = -(2n ** 63n);

/** A number's source text as a value of its type; integers beyond 64 bits, and what no double holds, stay text. */
export function typedNumber(text: string): number | bigint | Double | string {
  const number = Number(text);
  if (/^-?\d+$/.test(text)) {
    if (Number.isSafeInteger(number)) return number;
    const long = BigInt(text);
    return long > maxLong || long < minLong ? text : long;
  }
  if (!Number.isFinite(number)) return text;
  return Number.isInteger(number) ? new Double(number) : number;
}

/** JSON text that `readTypedJson` reads back to equal values; what JSON cannot spell is null. `undefined` members are left out. */
export function writeTypedJson(value: Plain): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object") return valueJson(value);
  if (value instanceof Double || value instanceof Json) return valueJson(value);
  if (Array.isArray(value)) return `[${value.map(writeTypedJson).join(",")}]`;
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString("base64"));
  const members: string[] = [];
  for (const [key, member] of Object.entries(value as Record<string, Plain>)) {
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${writeTypedJson(member)}`);
  }
  return `{${members.join(",")}}`;
}
