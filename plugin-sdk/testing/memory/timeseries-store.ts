import {
  type CallOptions,
  double,
  type EntityId,
  numberOf,
  type Point,
  type RangeQuery,
  type RemoveQuery,
  type Sample,
  type TimeseriesStore,
  type Value,
  valueText,
  valueType,
  type WindowPoint,
  type World,
} from "../../src/index.ts";

export interface MemorySeries {
  readonly points: Map<number, { readonly value: Value; readonly expires: number }>;
  latest: Point | undefined;
}

const nameOf = ({ entityType, id }: EntityId) => `${entityType}/${id}`;
const pagePoints = 1000;

/** The reference: short and slow. */
export class MemoryTimeseriesStore implements TimeseriesStore {
  protected readonly entities = new Map<string, Map<string, MemorySeries>>();
  readonly #world: Pick<World, "now">;

  constructor(world: Pick<World, "now">) {
    this.#world = world;
  }

  async append(samples: readonly Sample[], call: CallOptions & { readonly ttlMs?: number }): Promise<void> {
    call.signal.throwIfAborted();
    for (const { entity, ts, values } of samples) {
      for (const [key, value] of Object.entries(values)) {
        const series = this.series(entity, key);
        series.points.set(ts, { value, expires: call.ttlMs ? ts + call.ttlMs : Number.POSITIVE_INFINITY });
        if (this.newer(series.latest, ts)) series.latest = { key, ts, value };
      }
    }
  }

  async latest(entity: EntityId, keys: readonly string[] | "all", call: CallOptions): Promise<Point[]> {
    call.signal.throwIfAborted();
    const all = this.entities.get(nameOf(entity));
    return (keys === "all" ? [...(all?.keys() ?? [])] : keys).flatMap((key) => all?.get(key)?.latest ?? []);
  }

  async *range(query: RangeQuery, call: CallOptions): AsyncIterable<readonly WindowPoint[]> {
    for (const key of query.keys) {
      call.signal.throwIfAborted();
      const points = this.select(query, key);
      for (let at = 0; at < points.length; at += pagePoints) yield points.slice(at, at + pagePoints);
    }
  }

  async remove({ entity, keys, from, to, latest }: RemoveQuery, call: CallOptions): Promise<void> {
    call.signal.throwIfAborted();
    for (const key of keys) {
      const series = this.entities.get(nameOf(entity))?.get(key);
      if (series === undefined) continue;
      for (const ts of series.points.keys()) if (ts >= from && ts < to) series.points.delete(ts);
      const hit = series.latest !== undefined && series.latest.ts >= from && series.latest.ts < to;
      if (hit && latest !== "keep") {
        const remaining = latest === "rewrite" ? this.sorted(series, key).at(-1) : undefined;
        series.latest = remaining;
      }
    }
  }

  async forget(entities: readonly EntityId[], call: CallOptions): Promise<void> {
    call.signal.throwIfAborted();
    for (const entity of entities) this.entities.delete(nameOf(entity));
  }

  protected newer(latest: Point | undefined, ts: number): boolean {
    return latest === undefined || ts >= latest.ts;
  }

  protected inside(ts: number, from: number, to: number): boolean {
    return ts >= from && ts < to;
  }

  protected select({ entity, from, to, limit, order, aggregate }: RangeQuery, key: string): WindowPoint[] {
    const series = this.entities.get(nameOf(entity))?.get(key);
    if (series === undefined) return [];
    const all = this.sorted(series, key);
    if (aggregate === undefined) {
      const points = all.filter(({ ts }) => this.inside(ts, from, to));
      return (order === "asc" ? points : points.reverse()).slice(0, limit);
    }
    return aggregate.bounds.slice(0, -1).flatMap((start, at) => {
      const end = aggregate.bounds[at + 1] as number;
      const inside = all.filter(({ ts }) => this.inside(ts, start, end));
      const value =
        inside.length === 0
          ? undefined
          : aggregated(
              inside.map((point) => point.value),
              aggregate.fn,
            );
      return value === undefined
        ? []
        : [{ key, ts: start + Math.floor((end - start) / 2), value, count: inside.length }];
    });
  }

  protected sorted(series: MemorySeries, key: string): Point[] {
    const now = this.#world.now();
    const seen = [...series.points].filter(([, { expires }]) => expires > now);
    return seen.map(([ts, { value }]) => ({ key, ts, value })).sort((a, b) => a.ts - b.ts);
  }

  protected series(entity: EntityId, key: string): MemorySeries {
    const all = this.entities.get(nameOf(entity)) ?? new Map<string, MemorySeries>();
    this.entities.set(nameOf(entity), all);
    const series = all.get(key) ?? { points: new Map(), latest: undefined };
    all.set(key, series);
    return series;
  }
}

function aggregated(values: readonly Value[], fn: NonNullable<RangeQuery["aggregate"]>["fn"]): Value | undefined {
  if (fn === "COUNT") return values.length;
  const numbers = values.filter((value) => numberOf(value) !== undefined);
  const sum = numbers.reduce<number>((total, value) => total + (numberOf(value) as number), 0);
  if (fn === "AVG") return double(numbers.length === 0 ? 0 : sum / numbers.length);
  if (fn === "SUM") {
    return numbers.every((value) => valueType(value) === "LONG") ? sum : double(sum);
  }
  const rank = (value: Value): number | string => (numbers.length > 0 ? (numberOf(value) as number) : valueText(value));
  const of = numbers.length > 0 ? numbers : values;
  const best = of.reduce((best, value) =>
    (fn === "MIN" ? rank(value) < rank(best) : rank(value) > rank(best)) ? value : best,
  );
  const mixed = numbers.some((value) => valueType(value) === "DOUBLE");
  return mixed ? double(numberOf(best) as number) : best;
}
