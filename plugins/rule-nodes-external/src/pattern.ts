import { Fault, type Msg, type Plain, writeTypedJson } from "@heddle/plugin-sdk";

const placeholder = /\$\{([^}]+)\}|\$\[([^\]]+)\]/g;

/**
 * `${key}` is the metadata, `$[a.b]` a member of the JSON body; what is not there stays as it is written (rule-engine 4).
 * `encode` gets each value and where in the pattern it goes. Fault `rule.pattern` when the body is no JSON.
 */
export function filledIn(pattern: string, msg: Msg, encode: (value: string, at: number) => string): string {
  return pattern.replace(placeholder, (whole, key: string | undefined, path: string | undefined, at: number) => {
    const value = key === undefined ? inBody(msg, path as string) : msg.metadata[key];
    return value === undefined ? whole : encode(value, at);
  });
}

function inBody(msg: Msg, path: string): string | undefined {
  if (msg.dataType !== "JSON") throw new Fault("invalid", "rule.pattern", "Failed to process pattern!");
  let value: Plain | undefined = msg.data;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, Plain>>)[name];
  }
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : writeTypedJson(value);
}
