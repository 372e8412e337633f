import { Fault } from "@heddle/plugin-sdk";
import { type Node, readLenientJson } from "./lenient-json.ts";

/** A document of any shape, read as device-api 0.2 says. Fault `device.payload`. */
export function readDocument(payload: Uint8Array): Node {
  return readText(textOf(payload));
}

/** The same of a text. */
export function readText(text: string): Node {
  try {
    return readLenientJson(text);
  } catch (cause) {
    throw malformed(`not readable as JSON: ${(cause as Error).message}`, cause);
  }
}

export function textOf(payload: Uint8Array): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8");
}

/** Fault for what a device sent and nobody can use. */
export function malformed(what: string, cause?: unknown): Fault {
  return new Fault("invalid", "device.payload", `device payload: ${what}`, { cause });
}

/** JSON text without white space; numbers keep their spelling where JSON allows it. */
export function compact(node: Node): string {
  switch (node.type) {
    case "null":
      return "null";
    case "boolean":
      return String(node.value);
    case "number":
      return strictNumber(node.text);
    case "string":
      return JSON.stringify(node.value);
    case "array":
      return `[${node.items.map(compact).join(",")}]`;
    case "object":
      return `{${[...node.members].map(([key, value]) => `${JSON.stringify(key)}:${compact(value)}`).join(",")}}`;
  }
}

/** The same number as JSON spells it: `01`, `.5` and `1.e5` are none. No way through a double, which would lose digits. */
function strictNumber(text: string): string {
  if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return text;
  return text
    .replace(/^(-?)0*(?=\d)/, "$1")
    .replace(/^(-?)\./, (_all, sign: string) => `${sign}0.`)
    .replace(/\.(?!\d)/, "");
}

/** Firmware also sends numbers and truth values where a text belongs. */
export function scalarText(node: Node | undefined): string | undefined {
  if (node?.type === "string") return node.value;
  if (node?.type === "number") return node.text;
  return node?.type === "boolean" ? String(node.value) : undefined;
}

/** The members of an object; fault `device.payload` names what it is instead. */
export function membersOf(node: Node, what: string): ReadonlyMap<string, Node> {
  if (node.type !== "object") throw malformed(`${what} is an object, not ${node.type}`);
  return node.members;
}
