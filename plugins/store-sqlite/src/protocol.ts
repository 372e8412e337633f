import type { Query } from "@heddle/plugin-sdk";
import type { SqlValue } from "@heddle/sqlite-driver/worker";

/** What the main thread and the worker say to each other; plain data only. */

export interface Declaration {
  readonly name: string;
  readonly indexes: readonly (readonly string[])[];
  readonly unique: readonly (readonly string[])[];
}

export interface WriteItem {
  readonly id: string;
  readonly expect: number | "absent" | "any";
  readonly body: string;
  /** Values of the collection's fields, in the order of `fieldsOf`. */
  readonly fields: readonly SqlValue[];
}

export interface ItemFailure {
  readonly code: "store.conflict" | "store.exists" | "store.unique";
  readonly message: string;
  readonly fields?: readonly string[];
}

export type PutCall = { readonly collection: string; readonly items: readonly WriteItem[] };
/** For each item its new version, or why there is none. */
export type PutAnswer = readonly (number | ItemFailure)[];
export type IdsCall = { readonly collection: string; readonly ids: readonly string[] };
export type FoundDocument = { readonly id: string; readonly version: number; readonly body: string };
export type FindCall = { readonly collection: string; readonly query: Query };
export type FindAnswer = { readonly items: readonly FoundDocument[]; readonly total: number };

export interface AttributeOwner {
  readonly type: string;
  readonly id: string;
  readonly scope: string;
}
/** Kind and value as stored; texts of JSON and big longs are text. */
export type StoredAttribute = readonly [key: string, kind: number, value: SqlValue, lastUpdateTs: number];
export type AttributePut = AttributeOwner & { readonly ts: number; readonly values: readonly SqlValue[] };
export type AttributeKeys = AttributeOwner & { readonly keys: readonly string[] | "all" };
export type AttributeRemoval = { readonly removed: string[]; readonly version: number };

/** The answer to a write; the first of a commit also tells how it went. */
export interface Written {
  readonly value: unknown;
  readonly commit?: { readonly seconds: number; readonly writes: number };
}
