import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { EntityId } from "../model/entity.ts";
import type { Principal } from "./identity.ts";

export type EntityKeyType =
  | "ENTITY_FIELD"
  | "TIME_SERIES"
  /** The newest of the three scopes. */
  | "ATTRIBUTE"
  | "CLIENT_ATTRIBUTE"
  | "SHARED_ATTRIBUTE"
  | "SERVER_ATTRIBUTE";

export interface EntityKey {
  readonly type: EntityKeyType;
  readonly key: string;
}

/** A shown value; ts 0 and an empty text where there is none. */
export interface ShownValue {
  readonly ts: number;
  readonly value: string;
}

export interface EntityRow {
  readonly entity: EntityId;
  /** `nullId` for what belongs to no tenant. */
  readonly tenantId: string;
  readonly latest: Readonly<Partial<Record<EntityKeyType, Readonly<Record<string, ShownValue>>>>>;
}

export interface EntityRows {
  readonly rows: readonly EntityRow[];
  readonly totalElements: number;
  readonly totalPages: number;
  readonly hasNext: boolean;
}

/**
 * Entities by a filter over their kind, fields, attributes and series, confined to what the caller may see (rest-semantics
 * 10). Queries are documents as clients send them: they are checked here. Fault `input.invalid` says what is wrong.
 */
export interface EntityQueries {
  /** Of an EntityCountQuery. */
  count(query: unknown, who: Principal, call: CallOptions): Promise<number>;
  /** A page of an EntityDataQuery; `also` adds columns. */
  find(
    query: unknown,
    who: Principal,
    call: CallOptions & { readonly also?: readonly EntityKey[] },
  ): Promise<EntityRows>;
}
export const EntityQueries = capability<EntityQueries>("entity-queries@1");
