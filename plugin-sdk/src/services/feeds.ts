import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { EntityId, Scope } from "../model/entity.ts";
import type { Value } from "../model/plain.ts";

/** What a subscriber wants of one entity. */
export interface FeedInterest {
  readonly tenantId: string;
  readonly entity: EntityId;
  /** Time-series keys. */
  readonly series?: readonly string[] | "all";
  /** Attribute keys, by scope. */
  readonly attributes?: Readonly<Partial<Record<Scope, readonly string[] | "all">>>;
}

/** Changed values; a removed key has value null and ts 0. */
export interface FeedUpdate {
  readonly entity: EntityId;
  /** Absent for series. */
  readonly scope?: Scope;
  readonly changes: readonly { readonly key: string; readonly ts: number; readonly value: Value | null }[];
}

export interface Feed extends AsyncDisposable {
  /** Resolves when the owner of the entity knows the subscription: what is saved from now on is delivered. */
  readonly live: Promise<void>;
}

/** Live updates of entities, from wherever they are saved to wherever they are watched. */
export interface Feeds {
  /**
   * Subscribe first, read the store after `live`: then nothing is missed (architecture 9). `deliver` runs in order of
   * processing; `resync` says that updates may have been lost (the owner moved): read again.
   */
  subscribe(interest: FeedInterest, on: { deliver(update: FeedUpdate): void; resync(): void }, call: CallOptions): Feed;
}
export const Feeds = capability<Feeds>("feeds@1");
