import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { EntityId, Scope } from "../model/entity.ts";
import type { Value } from "../model/plain.ts";

export interface Attribute {
  readonly key: string;
  readonly value: Value;
  /** ms since the epoch. */
  readonly lastUpdateTs: number;
}

export interface AttributeStore {
  /** Keys without a value are left out. */
  get(entity: EntityId, scope: Scope, keys: readonly string[] | "all", call: CallOptions): Promise<Attribute[]>;
  /** Upserts; resolves, when durable, with a version that only grows for the entity, also through removals. */
  put(write: AttributeWrite, call: CallOptions): Promise<number>;
  /** The keys that existed, and the version of the removal. */
  remove(
    entity: EntityId,
    scope: Scope,
    keys: readonly string[],
    call: CallOptions,
  ): Promise<{ removed: string[]; version: number }>;
  /** Everything of these entities, all scopes; idempotent. */
  forget(entities: readonly EntityId[], call: CallOptions): Promise<void>;
}

export interface AttributeWrite {
  readonly entity: EntityId;
  readonly scope: Scope;
  readonly values: Readonly<Record<string, Value>>;
  /** Becomes `lastUpdateTs`. */
  readonly ts: number;
}
export const AttributeStore = capability<AttributeStore>("attribute-store@1");
