import { isPath } from "./resolve.ts";
import { type Entry, type MapNode, nodeAt, type Path, type Tree } from "./tree.ts";

/**
 * Lays `over` on `under`: maps merge by key, everything else replaces, `null` removes. A plugin whose `use` changes
 * loses the inherited `config`, which was written for another schema.
 */
export function merge(under: MapNode, over: MapNode, path: Path = []): MapNode {
  const entries = new Map<string, Entry>(under.entries);
  if (path.length === 2 && path[0] === "plugins" && changesUse(under, over)) entries.delete("config");
  for (const [key, entry] of over.entries) {
    if (isNull(entry.value)) {
      entries.delete(key);
      continue;
    }
    const below = entries.get(key)?.value;
    entries.set(key, { at: entry.at, value: layered(below, entry.value, [...path, key]) });
  }
  return { kind: "map", at: over.at, entries };
}

function layered(below: Tree | undefined, value: Tree, path: Path): Tree {
  if (value.kind !== "map") return value;
  // Laying even a first map on nothing drops the nulls inside it.
  return merge(below?.kind === "map" ? below : { kind: "map", at: value.at, entries: new Map() }, value, path);
}

function changesUse(under: MapNode, over: MapNode): boolean {
  const before = nodeAt(under, ["use"]);
  const after = nodeAt(over, ["use"]);
  if (before?.kind !== "scalar" || after?.kind !== "scalar") return false;
  if (before.value !== after.value) return true;
  return typeof after.value === "string" && isPath(after.value) && before.at.dir !== after.at.dir;
}

function isNull(tree: Tree): boolean {
  return tree.kind === "scalar" && tree.value === null;
}
