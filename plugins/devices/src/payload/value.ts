import { compact, type Node } from "@heddle/payload-codec";
import { castText, Json, numberValue, type Value } from "@heddle/plugin-sdk";

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
