import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { isFault } from "@heddle/plugin-sdk";
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { merge } from "./merge.ts";
import type { Problems } from "./problems.ts";
import { resolveFrom } from "./resolve.ts";
import { type Entry, emptyMap, type MapNode, nodeAt, type Origin, type Tree } from "./tree.ts";

/** Values in one file; aliases count as often as they are used, which stops a file that explodes. */
const maxNodes = 50_000;
const maxExtends = 32;

export interface ReadManifest {
  /** All layers merged, without `extends`. */
  readonly tree: MapNode;
  /** The files read, the outermost first. */
  readonly files: readonly string[];
}

/** Reads a manifest file, or takes the same shape as an object, with everything it extends. */
export function readManifest(manifest: string | object, cwd: string, problems: Problems): ReadManifest {
  if (typeof manifest === "string") return readLayers(resolve(cwd, manifest), [], { at: undefined, problems });
  const at: Origin = { source: "(manifest object)", dir: cwd };
  const own = fromObject(manifest, at);
  if (own.kind === "map") return withExtended(own, [], problems);
  problems.add({ at, path: "", message: "a manifest must be an object" });
  return { tree: emptyMap(at), files: [] };
}

interface Asked {
  /** Where the file was named. */
  readonly at: Origin | undefined;
  readonly problems: Problems;
}

function readLayers(file: string, chain: readonly string[], asked: Asked): ReadManifest {
  const { at, problems } = asked;
  const nothing = { tree: emptyMap({ source: file, dir: dirname(file) }), files: [file] };
  if (chain.includes(file) || chain.length >= maxExtends) {
    const round = [...chain, file].join("\n  extends ");
    problems.add({ at, path: "extends", message: `manifests extend each other in a circle:\n${round}` });
    return nothing;
  }
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "does not exist" : (error as Error).message;
    const hint = at === undefined ? "give the path of a manifest: heddle check path/to/manifest.yaml" : undefined;
    problems.add({ at, path: at ? "extends" : "", message: `cannot read ${file}: ${why}`, hint });
    return nothing;
  }
  const own = parse(text, file, problems);
  return own === undefined ? nothing : withExtended(own, [...chain, file], problems);
}

function withExtended(own: MapNode, chain: readonly string[], problems: Problems): ReadManifest {
  const named = nodeAt(own, ["extends"]);
  const file = chain.at(-1);
  const files = file === undefined ? [] : [file];
  if (named === undefined) return { tree: merge(emptyMap(own.at), own), files };
  const entries = new Map(own.entries);
  entries.delete("extends");
  const tree: MapNode = { ...own, entries };
  if (named.kind !== "scalar" || typeof named.value !== "string") {
    problems.add({ at: named.at, path: "extends", message: "must be the path or package specifier of one manifest" });
    return { tree: merge(emptyMap(own.at), tree), files };
  }
  try {
    const base = readLayers(resolveFrom(named.value, named.at.dir).file, chain, { at: named.at, problems });
    return { tree: merge(base.tree, tree), files: [...files, ...base.files] };
  } catch (error) {
    if (!isFault(error)) throw error;
    const hint = "a relative path starts with ./ or ../; a package must be installed beside this manifest";
    problems.add({ at: named.at, path: "extends", message: error.message, hint });
    return { tree: merge(emptyMap(own.at), tree), files };
  }
}

function parse(text: string, file: string, problems: Problems): MapNode | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const origin = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset);
    return { source: file, dir: dirname(file), line, column: col };
  };
  for (const error of document.errors) problems.add({ at: origin(error.pos[0]), path: "", message: error.message });
  if (document.errors.length > 0) return undefined;
  const builder = new TreeBuilder(document, origin);
  try {
    const tree = builder.build(document.contents, origin(0));
    if (tree.kind === "map") return tree;
    problems.add({ at: origin(0), path: "", message: "a manifest must be a YAML map" });
  } catch (error) {
    if (!(error instanceof TooManyNodes)) throw error;
    problems.add({
      at: origin(0),
      path: "",
      message: `has more than ${maxNodes} values, counting every use of an alias`,
    });
  }
  return undefined;
}

class TooManyNodes extends Error {}

/** Turns the nodes of one YAML document into a tree. */
class TreeBuilder {
  readonly #document: Document;
  readonly #origin: (offset: number) => Origin;
  #nodes = 0;

  constructor(document: Document, origin: (offset: number) => Origin) {
    this.#document = document;
    this.#origin = origin;
  }

  build(node: unknown, fallback: Origin): Tree {
    if (++this.#nodes > maxNodes) throw new TooManyNodes();
    const at = this.#at(node, fallback);
    if (isAlias(node)) return this.build(node.resolve(this.#document), at);
    if (isSeq(node)) return { kind: "list", at, items: node.items.map((item) => this.build(item, at)) };
    if (isMap(node)) {
      const entries = new Map<string, Entry>();
      for (const pair of node.items) {
        const keyAt = this.#at(pair.key, at);
        const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
        entries.set(key, { at: keyAt, value: this.build(pair.value, keyAt) });
      }
      return { kind: "map", at, entries };
    }
    const value: unknown = isScalar(node) ? node.value : null;
    if (typeof value === "bigint") return { kind: "scalar", at, value: Number(value) };
    const simple = value === null || ["string", "number", "boolean"].includes(typeof value);
    return { kind: "scalar", at, value: simple ? (value as string | number | boolean | null) : String(value) };
  }

  #at(node: unknown, fallback: Origin): Origin {
    const range = (node as Node | null)?.range;
    return range ? this.#origin(range[0]) : fallback;
  }
}

/** A tree of an object that an embedder made; every value has the same origin. */
export function fromObject(value: unknown, at: Origin): Tree {
  if (Array.isArray(value)) return { kind: "list", at, items: value.map((item) => fromObject(item, at)) };
  if (typeof value === "object" && value !== null) {
    const entries = new Map<string, Entry>();
    for (const [key, inner] of Object.entries(value)) {
      if (inner !== undefined) entries.set(key, { at, value: fromObject(inner, at) });
    }
    return { kind: "map", at, entries };
  }
  return { kind: "scalar", at, value: (value ?? null) as string | number | boolean | null };
}
