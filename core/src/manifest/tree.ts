/** Where a value was written. An object given by an embedder and a `--set` have no line. */
export interface Origin {
  /** Absolute path of a manifest, or what to show instead of one. */
  readonly source: string;
  /** Folder that relative paths of this value are resolved from. */
  readonly dir: string;
  readonly line?: number;
  readonly column?: number;
}

export interface Scalar {
  readonly kind: "scalar";
  readonly at: Origin;
  readonly value: string | number | boolean | null;
  /** Text that may be converted to the type of its field: it came from an interpolation or from `--set`. */
  readonly text?: string;
  /** It came from a secrets folder; nothing may show it. */
  readonly secret?: boolean;
  /** Its interpolation failed and was reported: follow-up problems of this value say nothing new. */
  readonly failed?: boolean;
}

export interface ListNode {
  readonly kind: "list";
  readonly at: Origin;
  readonly items: readonly Tree[];
}

export interface Entry {
  /** Position of the key. */
  readonly at: Origin;
  readonly value: Tree;
}

export interface MapNode {
  readonly kind: "map";
  readonly at: Origin;
  readonly entries: ReadonlyMap<string, Entry>;
}

/** A manifest that remembers where each of its values comes from. */
export type Tree = Scalar | ListNode | MapNode;
export type Path = readonly (string | number)[];

export const emptyMap = (at: Origin): MapNode => ({ kind: "map", at, entries: new Map() });

/** The child of a map by key or of a list by index. */
export function child(tree: Tree | undefined, key: string | number): Tree | undefined {
  if (tree?.kind === "map") return tree.entries.get(String(key))?.value;
  if (tree?.kind === "list") return tree.items[Number(key)];
  return undefined;
}

export function nodeAt(tree: Tree | undefined, path: Path): Tree | undefined {
  return path.reduce<Tree | undefined>(child, tree);
}

/** Position of the key or item that a path names, or of the nearest enclosing one that was written at all. */
export function originAt(tree: Tree, path: Path): Origin {
  let at = tree.at;
  let node: Tree | undefined = tree;
  for (const key of path) {
    const entry: Entry | undefined = node?.kind === "map" ? node.entries.get(String(key)) : undefined;
    node = child(node, key);
    if (node === undefined) break;
    at = entry?.at ?? node.at;
  }
  return at;
}

/** Position of the value itself; of a value that nobody wrote, of what encloses it. */
export function valueOriginAt(tree: Tree, path: Path): Origin {
  const node = nodeAt(tree, path);
  return node?.kind === "scalar" || node?.kind === "list" ? node.at : originAt(tree, path);
}

/** The scalar text at a path, if there is one. */
export function textAt(tree: Tree, path: Path): string | undefined {
  const node = nodeAt(tree, path);
  return node?.kind === "scalar" && typeof node.value === "string" ? node.value : undefined;
}

/** The tree without its positions. */
export function toPlain(tree: Tree): unknown {
  if (tree.kind === "scalar") return tree.value;
  if (tree.kind === "list") return tree.items.map(toPlain);
  return Object.fromEntries([...tree.entries].map(([key, entry]) => [key, toPlain(entry.value)]));
}

/** Applies `change` to every scalar. */
export function mapScalars(tree: Tree, change: (scalar: Scalar, path: Path) => Tree, path: Path = []): Tree {
  if (tree.kind === "scalar") return change(tree, path);
  if (tree.kind === "list") {
    return { ...tree, items: tree.items.map((item, index) => mapScalars(item, change, [...path, index])) };
  }
  const entries = new Map<string, Entry>();
  for (const [key, entry] of tree.entries) {
    entries.set(key, { at: entry.at, value: mapScalars(entry.value, change, [...path, key]) });
  }
  return { ...tree, entries };
}

export const pathText = (path: Path): string => path.join(".");
