import { castText, Json, numberValue, type Value } from "@heddle/plugin-sdk";
import type { Node } from "./lenient-json.ts";

/** The stored value of what a device sent; undefined for null, whose key is dropped (device-api 0.3). */
export function storedValue(node: Node): Value | undefined {
  switch (node.type) {
    case "null":
      return undefined;
    case "boolean":
      return node.value;
    case "number":
      return numberValue(node.text);
    case "string":
      return castText(node.value);
    default:
      return new Json(compact(node));
  }
}

/** JSON text without white space; numbers keep their spelling where JSON allows it. */
export function compact(node: Node): string {
  switch (node.type) {
    case "null":
      return "null";
    case "boolean":
      return String(node.value);
    case "number":
      return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(node.text) ? node.text : String(Number(node.text));
    case "string":
      return JSON.stringify(node.value);
    case "array":
      return `[${node.items.map(compact).join(",")}]`;
    case "object":
      return `{${[...node.members].map(([key, value]) => `${JSON.stringify(key)}:${compact(value)}`).join(",")}}`;
  }
}
