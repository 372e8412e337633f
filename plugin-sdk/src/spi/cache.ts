import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { Plain } from "../model/plain.ts";

/** Bounded, may forget at any time; never the only copy of anything. */
export interface Cache {
  /** In the order of the keys; undefined on a miss. */
  get(keys: readonly string[], call: CallOptions): Promise<Plain[]>;
  set(
    entries: readonly { readonly key: string; readonly value: Plain; readonly ttlMs: number }[],
    call: CallOptions,
  ): Promise<void>;
  drop(keys: readonly string[], call: CallOptions): Promise<void>;
}
export const Cache = capability<Cache>("cache@1");
