import { createHash } from "node:crypto";
import type { CollectionSpec, Condition, Query, Scalar } from "@heddle/plugin-sdk";
import { fault } from "./faults.ts";
import { fieldOf, keyOf } from "./fields.ts";

/** Partition and claim names of a list of fields. */
export const nameOf = (fields: readonly string[]): string => fields.join(",");

/** A partition of an index (`value` of its fields), or a claimed value. */
export interface Place {
  readonly fields: readonly string[];
  readonly value: string;
}

export const samePlace = (a: Place, b: Place): boolean => a.value === b.value && nameOf(a.fields) === nameOf(b.fields);

/** Places in `all` that are not in `others`. */
export const without = (all: readonly Place[], others: readonly Place[]): Place[] =>
  all.filter((place) => !others.some((other) => samePlace(place, other)));

/** Partitions that a large index is spread over. */
export const shards = 4;
/** A query with `in` conditions reads so many partitions at most, else a shorter prefix. */
const mostPlaces = 64;

/** The shard of a document; the same for all its entries. */
export const shardOf = (id: string): number => (createHash("sha1").update(id).digest()[0] as number) % shards;

/** How a query is answered. */
export type Path =
  | { readonly kind: "ids"; readonly ids: readonly string[] }
  | { readonly kind: "claim"; readonly place: Place }
  | { readonly kind: "entries"; readonly places: readonly Place[] };

/** Where the documents of a collection are listed and what they claim. */
export class Layout<T extends object> {
  readonly id: string;
  readonly name: string;
  readonly unique: readonly (readonly string[])[];
  /** Field lists with partitions of their own; the empty one lists all documents. None: documents are found by id. */
  readonly prefixes: readonly (readonly string[])[];

  constructor({ name, id, indexes, unique = [], listed = true }: CollectionSpec<T>) {
    this.name = name;
    this.id = id;
    this.unique = unique;
    const prefixes = new Map<string, readonly string[]>(listed ? [["", []]] : []);
    for (const index of listed ? indexes : []) {
      for (let length = 1; length <= index.length; length++) {
        const prefix = index.slice(0, length);
        // Claims lead to the document already.
        if (!unique.some((list) => nameOf(list) === nameOf(prefix))) prefixes.set(nameOf(prefix), prefix);
      }
    }
    this.prefixes = [...prefixes.values()];
  }

  places(document: unknown): Place[] {
    if (document === undefined) return [];
    return this.prefixes.map((fields) => placeOf(document, fields));
  }

  claims(document: unknown): Place[] {
    if (document === undefined) return [];
    return this.unique
      .filter((fields) => fields.every((field) => fieldOf(document, field) !== null))
      .map((fields) => placeOf(document, fields));
  }

  path({ where = {} }: Query): Path {
    const ids = values(where[this.id]);
    if (ids !== undefined) return { kind: "ids", ids: ids.filter((id) => typeof id === "string") };
    for (const fields of this.unique) {
      const claimed = fields.map((field) => where[field]);
      if (claimed.every((value) => value !== null && value !== undefined && typeof value !== "object")) {
        return { kind: "claim", place: { fields, value: keyOf(claimed) } };
      }
    }
    if (this.prefixes.length === 0) {
      throw fault("store.invalid", `${this.name} is not listed: its documents are found by id`);
    }
    let best: readonly Place[] = [];
    let length = -1;
    for (const fields of this.prefixes) {
      const places = fields.length > length ? placesOf(fields, where) : undefined;
      if (places === undefined) continue;
      best = places;
      length = fields.length;
    }
    return { kind: "entries", places: best };
  }
}

const placeOf = (document: unknown, fields: readonly string[]): Place => ({
  fields,
  value: keyOf(fields.map((field) => fieldOf(document, field))),
});

/** What a condition allows, when it is a list of values. */
function values(condition: Condition | undefined): readonly Scalar[] | undefined {
  if (condition === undefined) return undefined;
  if (condition === null || typeof condition !== "object") return [condition];
  return "in" in condition ? condition.in : undefined;
}

function placesOf(fields: readonly string[], where: NonNullable<Query["where"]>): Place[] | undefined {
  let rows: Scalar[][] = [[]];
  for (const field of fields) {
    const allowed = values(where[field]);
    if (allowed === undefined || rows.length * allowed.length > mostPlaces) return undefined;
    rows = rows.flatMap((row) => [...new Set(allowed)].map((value) => [...row, value]));
  }
  return rows.map((row) => ({ fields, value: keyOf(row) }));
}
