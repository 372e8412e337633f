import { Lru } from "@heddle/cassandra-driver";
import type { EntityId } from "@heddle/plugin-sdk";

/** What this process knows of one series. */
export interface Series {
  readonly entity: EntityId;
  readonly key: string;
  /** A latest value of at least this time was stored or is on its way; undefined when nothing is known. */
  latest: number | undefined;
  /** The greatest write timestamp that this process gave a latest value. */
  written: number;
  /** Writes of the latest value that have not ended. */
  flight: Promise<unknown> | undefined;
  /** Buckets that are listed in the store, with the time (`World.elapsed`) until which that is taken for granted. */
  readonly buckets: Map<number, number>;
}

/** More buckets than this at once are written again rather than remembered. */
const rememberedBuckets = 64;

export class SeriesCache {
  readonly #known: Lru<Series>;

  constructor(limit: number) {
    this.#known = new Lru(limit);
  }

  of(entity: EntityId, key: string): Series {
    const name = `${entity.entityType}\n${entity.id}\n${key}`;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const series: Series = { entity, key, latest: undefined, written: 0, flight: undefined, buckets: new Map() };
    this.#known.set(name, series);
    return series;
  }
}

export function rememberBucket({ buckets }: Series, bucket: number, until: number): void {
  if (buckets.size >= rememberedBuckets) buckets.clear();
  buckets.set(bucket, until);
}

export function forgetSeries(series: Series): void {
  series.latest = undefined;
  series.buckets.clear();
}
