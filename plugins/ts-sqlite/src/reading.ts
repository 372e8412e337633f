import { Aggregation, type Fn, type WindowPoint } from "./aggregate.ts";
import { readSlice } from "./chunks.ts";
import type { Engine } from "./engine.ts";
import { noPoints, type Points } from "./points.ts";
import { type Latest, never, type Series, visibleFrom } from "./series.ts";

export interface PageQuery {
  readonly entityType: string;
  readonly entityId: string;
  readonly key: string;
  readonly from: number;
  readonly to: number;
  readonly order: "asc" | "desc";
  readonly limit: number;
  readonly now: number;
}

export interface AggregateQuery {
  readonly entityType: string;
  readonly entityId: string;
  readonly key: string;
  readonly fn: Fn;
  readonly bounds: readonly number[];
  readonly now: number;
}

/** Points in the order asked for; `more` is false when the range is exhausted. */
export interface PageAnswer extends Points {
  readonly more: boolean;
}

/** Chunks that one slice of an aggregation reads before commits get their turn: about 2 ms. */
const sliceChunks = 64;

export function readLatest(
  engine: Engine,
  query: { entityType: string; entityId: string; keys: readonly string[] | "all" },
): { key: string; latest: Latest }[] {
  const { series } = engine.catalog.entity(query.entityType, query.entityId);
  const keys = query.keys === "all" ? [...series.keys()] : query.keys;
  return keys.flatMap((key) => {
    const latest = series.get(key)?.latest;
    return latest === undefined || latest.ts === never ? [] : [{ key, latest }];
  });
}

/** At most `limit` points; reads about as many chunks as they fill. */
export function readPage(engine: Engine, query: PageQuery): PageAnswer {
  const series = find(engine, query);
  const result = noPoints();
  if (series === undefined) return { ...result, more: false };
  const upward = query.order === "asc";
  let { from, to } = query;
  const chunks = Math.max(2, Math.ceil(query.limit / 200));
  const visible = (ttl: number) => visibleFrom(ttl, query.now);
  while (from < to) {
    const slice = readSlice(engine.sql, series, { from, to, order: query.order, chunks, visibleFrom: visible });
    const { ts, kinds, values } = slice.points;
    for (let step = 0; step < ts.length; step++) {
      if (result.ts.length === query.limit) return { ...result, more: true };
      const at = upward ? step : ts.length - 1 - step;
      result.ts.push(ts[at] as number);
      result.kinds.push(kinds[at] as number);
      result.values.push(values[at] as number | string);
    }
    if (slice.next === undefined) break;
    if (upward) from = slice.next;
    else to = slice.next;
  }
  return { ...result, more: false };
}

/** Lets commits through between slices; points that move into chunks meanwhile are met there. */
export async function readAggregate(engine: Engine, query: AggregateQuery): Promise<WindowPoint[]> {
  const series = find(engine, query);
  const aggregation = new Aggregation(query.fn, query.bounds);
  const [first] = query.bounds;
  const to = query.bounds[query.bounds.length - 1];
  if (series === undefined || first === undefined || to === undefined) return [];
  const visible = (ttl: number) => visibleFrom(ttl, query.now);
  for (let from: number | undefined = first; from !== undefined && from < to; ) {
    const slice = readSlice(engine.sql, series, { from, to, order: "asc", chunks: sliceChunks, visibleFrom: visible });
    aggregation.add(slice.points);
    from = slice.next;
    if (from !== undefined) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return aggregation.result();
}

function find(engine: Engine, query: { entityType: string; entityId: string; key: string }): Series | undefined {
  return engine.catalog.entity(query.entityType, query.entityId).series.get(query.key);
}
