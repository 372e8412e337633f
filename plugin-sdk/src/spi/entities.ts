import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";

/**
 * Documents with versions. The domain relies on compare-and-set of one document and on unique claims, never on a
 * transaction across documents: that is what every back-end can give.
 */
export interface EntityStore {
  /** Declares a collection; the same name always comes with the same spec. Usable after the store has started. */
  collection<T extends object>(spec: CollectionSpec<T>): Collection<T>;
}

export interface CollectionSpec<T> {
  readonly name: string;
  /** The field that holds the document's id, a text. */
  readonly id: keyof T & string;
  /** Field lists that `find` filters by; dots reach into objects. The store may use them as prefixes. */
  readonly indexes: readonly (readonly string[])[];
  /** Field lists whose values no two documents share; a list with a missing or null field claims nothing. */
  readonly unique?: readonly (readonly string[])[];
  /**
   * Default true. False: the store keeps no list of the documents, and `find` by anything but ids is fault `store.invalid`. For large
   * ones, which a store that keeps its lists beside the documents would hold more than once.
   */
  readonly listed?: boolean;
}

export interface Collection<T> {
  /** In the order of the ids; undefined where there is none. */
  get(ids: readonly string[], call: CallOptions): Promise<(Stored<T> | undefined)[]>;
  find(query: Query, call: CallOptions): Promise<Page<T>>;
  /**
   * Writes each item for itself; a rejection is a `BatchFault` whose failures are `store.conflict` (another version),
   * `store.exists` (expected absent) or `store.unique` (`data.fields` names the list). Resolves when durable.
   */
  put(items: readonly PutItem<T>[], call: CallOptions): Promise<Stored<T>[]>;
  /** Ids that do not exist are skipped; returns how many were removed. Resolves when durable. */
  remove(ids: readonly string[], call: CallOptions): Promise<number>;
}

/** `expect`: the stored version, `absent`, or `any` (overwrite). */
export interface PutItem<T> {
  readonly value: T;
  readonly expect: number | "absent" | "any";
}

/** Versions begin at 1 and grow by one with every write. */
export interface Stored<T> {
  readonly value: T;
  readonly version: number;
}

export type Scalar = string | number | boolean | null;
export type Condition = Scalar | { readonly in: readonly Scalar[] } | { readonly gte?: Scalar; readonly lt?: Scalar };

export interface Query {
  /** All conditions must hold; a missing field equals null. */
  readonly where?: Readonly<Record<string, Condition>>;
  /** Case-insensitive substring of any of the fields. */
  readonly search?: { readonly text: string; readonly fields: readonly string[] };
  /** Text sorts case-insensitively; ties are broken by id, so that paging is stable. */
  readonly sort?: { readonly by: string; readonly order: "asc" | "desc" };
  /** From 0. */
  readonly page?: number;
  readonly limit: number;
}

export interface Page<T> {
  readonly items: readonly Stored<T>[];
  /** Exact number of matches over all pages. */
  readonly total: number;
}
export const EntityStore = capability<EntityStore>("entity-store@1");
