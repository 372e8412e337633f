import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { EntityId } from "../model/entity.ts";
import type { Value } from "../model/plain.ts";

/** Values of one entity at one time. */
export interface Sample {
  readonly entity: EntityId;
  /** ms since the epoch; any safe integer, also negative. */
  readonly ts: number;
  readonly values: Readonly<Record<string, Value>>;
}

export interface Point {
  readonly key: string;
  readonly ts: number;
  readonly value: Value;
}

/** An aggregated window has `count`, the number of raw points in it. */
export interface WindowPoint extends Point {
  readonly count?: number;
}

export type AggregateFn = "MIN" | "MAX" | "AVG" | "SUM" | "COUNT";

export interface RangeQuery {
  readonly entity: EntityId;
  readonly keys: readonly string[];
  /** Inclusive, ms. */
  readonly from: number;
  /** Exclusive, ms. */
  readonly to: number;
  /** Raw points per key. Ignored with `aggregate`. */
  readonly limit: number;
  readonly order: "asc" | "desc";
  /**
   * Windows between neighbouring `bounds` (ascending, n + 1 for n windows); each non-empty one gives a point at
   * start + floor((end - start) / 2), ascending. AVG is a double; SUM stays long over longs only; both are zero for a window
   * without numbers. MIN and MAX are of the numbers if there are any, a double when one of them is, else of the texts.
   * COUNT counts every point (runtime 12.6).
   */
  readonly aggregate?: { readonly fn: AggregateFn; readonly bounds: readonly number[] };
}

export interface RemoveQuery {
  readonly entity: EntityId;
  readonly keys: readonly string[];
  readonly from: number;
  readonly to: number;
  /** When the latest value lies in the range: drop it, keep it, or put the newest remaining point in its place. */
  readonly latest: "remove" | "keep" | "rewrite";
}

export interface TimeseriesStore {
  /**
   * Resolves when durable. Idempotent on entity + key + ts: the later write wins. The latest value changes only for a ts
   * not older than its own. Calls made while a commit runs share the next one and its promise.
   */
  append(samples: readonly Sample[], call: CallOptions & { readonly ttlMs?: number }): Promise<void>;
  /** Keys without a value are left out. */
  latest(entity: EntityId, keys: readonly string[] | "all", call: CallOptions): Promise<Point[]>;
  /** Pages of points, key by key in the order asked for. Reading goes on only as fast as pages are taken. */
  range(query: RangeQuery, call: CallOptions): AsyncIterable<readonly WindowPoint[]>;
  remove(query: RemoveQuery, call: CallOptions): Promise<void>;
  /** Everything of these entities; idempotent. */
  forget(entities: readonly EntityId[], call: CallOptions): Promise<void>;
}
export const TimeseriesStore = capability<TimeseriesStore>("timeseries-store@1");
