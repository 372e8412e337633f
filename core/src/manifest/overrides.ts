import { isScalar, parseDocument } from "yaml";
import { merge } from "./merge.ts";
import type { Problems } from "./problems.ts";
import { fromObject } from "./read.ts";
import { type Entry, type MapNode, mapScalars, type Origin, type Tree } from "./tree.ts";

/**
 * Lays `--set a.b.c=value` on a manifest. The value is a YAML scalar or flow collection; a scalar keeps its text, so
 * that `0123` stays `0123` where a text is wanted.
 */
export function applyOverrides(
  tree: MapNode,
  sets: readonly string[],
  from: { cwd: string; problems: Problems },
): MapNode {
  let result = tree;
  for (const set of sets) {
    const equals = set.indexOf("=");
    const path = set.slice(0, Math.max(equals, 0));
    const keys = path.split(".");
    // The value is not shown anywhere: it may be a password.
    const at: Origin = { source: `--set ${path}`, dir: from.cwd };
    if (equals <= 0 || keys.some((key) => key === "")) {
      const message = `--set needs a dotted path and a value, as in plugins.mqtt.config.port=1884`;
      from.problems.add({ at: { ...at, source: "--set" }, path, message });
      continue;
    }
    const value = parseValue(set.slice(equals + 1), { at, path, problems: from.problems });
    if (value !== undefined) result = merge(result, nest(keys, value, at));
  }
  return result;
}

function parseValue(text: string, field: { at: Origin; path: string; problems: Problems }): Tree | undefined {
  const { at, path, problems } = field;
  // A bare text such as `${env:X}:9092` or `a: b` is no flow collection and must not become a map.
  if (!/^\s*[[{]/.test(text)) {
    const document = parseDocument(text);
    const { contents } = document;
    const plain = document.errors.length === 0 && isScalar(contents) && contents.type === "PLAIN";
    const value = plain ? (contents.value as string | number | boolean | null) : text;
    return value === null ? { kind: "scalar", at, value } : { kind: "scalar", at, value, text };
  }
  const document = parseDocument(text);
  if (document.errors.length > 0) {
    problems.add({ at, path, message: "the value is no YAML list or map" });
    return undefined;
  }
  const tree = fromObject(document.toJS({ maxAliasCount: 0 }), at);
  return mapScalars(tree, (scalar) => (scalar.value === null ? scalar : { ...scalar, text: String(scalar.value) }));
}

function nest(keys: readonly string[], value: Tree, at: Origin): MapNode {
  const inner = keys.toReversed().reduce<Tree>((tree, key) => {
    const entries = new Map<string, Entry>([[key, { at, value: tree }]]);
    return { kind: "map", at, entries };
  }, value);
  return inner as MapNode;
}
