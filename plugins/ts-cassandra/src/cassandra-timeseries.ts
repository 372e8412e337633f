import { CassandraSession, each, fault, type SessionConfig, type SessionParts } from "@heddle/cassandra-driver";
import type {
  CallOptions,
  EntityId,
  Health,
  Point,
  RangeQuery,
  RemoveQuery,
  Sample,
  TimeseriesStore,
  WindowPoint,
} from "@heddle/plugin-sdk";
import { Appender } from "./appender.ts";
import type { BucketSize } from "./buckets.ts";
import { Latest } from "./latest.ts";
import { Reading } from "./reading.ts";
import { forgetSeries, SeriesCache } from "./series.ts";
import { entityColumns, schema, sql } from "./tables.ts";

export interface TimeseriesConfig extends SessionConfig {
  readonly bucket: BucketSize;
  /** ms */
  readonly ttl?: number;
  readonly knownSeries: number;
}

/** Partitions of one call that are removed at once. */
const atOnce = 32;
const everything = { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER + 1 } as const;

/** Points in time-bucketed partitions, latest values beside them. */
export class CassandraTimeseries implements TimeseriesStore {
  readonly #session: CassandraSession;
  readonly #series: SeriesCache;
  readonly #latest: Latest;
  readonly #appender: Appender;
  readonly #reading: Reading;

  constructor(config: TimeseriesConfig, parts: SessionParts) {
    this.#session = new CassandraSession(config, parts, schema(config.bucket));
    this.#series = new SeriesCache(config.knownSeries);
    this.#latest = new Latest(this.#session);
    this.#reading = new Reading(this.#session, config.bucket);
    const plan = { bucket: config.bucket, ttl: config.ttl };
    this.#appender = new Appender(this.#session, { series: this.#series, latest: this.#latest, plan });
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#session.start(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#session.stop();
  }

  health(): Health {
    return this.#session.health();
  }

  async append(samples: readonly Sample[], call: CallOptions & { readonly ttlMs?: number }): Promise<void> {
    call.signal.throwIfAborted();
    for (const { ts } of samples) {
      if (!Number.isSafeInteger(ts)) throw fault("store.invalid", `write points: ${ts} is not a time in ms`);
    }
    await this.#appender.append(samples, call.ttlMs, call.signal);
  }

  async latest(entity: EntityId, keys: readonly string[] | "all", call: CallOptions): Promise<Point[]> {
    call.signal.throwIfAborted();
    return this.#latest.read(entity, keys, call.signal);
  }

  range(query: RangeQuery, call: CallOptions): AsyncIterable<readonly WindowPoint[]> {
    return this.#reading.range(query, call.signal);
  }

  async remove({ entity, keys, from, to, latest }: RemoveQuery, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    for (const key of keys) {
      const series = this.#series.of(entity, key);
      const owner = [...entityColumns(entity), key];
      const buckets = await collect(this.#reading.buckets({ entity, key, from, to, order: "asc" }, signal));
      await each(buckets, atOnce, (bucket) =>
        this.#session.execute(sql.removePoints, [this.#session.clock.next(), ...owner, bucket, from, to], { signal }),
      );
      if (latest === "keep" || !(await this.#latest.drop(series, { from, to }, signal))) continue;
      if (latest === "remove") continue;
      for await (const [newest] of this.#reading.points(
        { entity, key, ...everything, order: "desc", limit: 1 },
        signal,
      )) {
        if (newest === undefined) continue;
        const { ts, value } = newest;
        await this.#latest.offer(entity, [{ series, ts, value, written: this.#session.clock.next() }], signal);
      }
    }
  }

  async forget(entities: readonly EntityId[], { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    await each(entities, atOnce, (entity) => this.#forget(entity, signal));
  }

  /** The lists go last: a forgetting that was interrupted finds everything again. */
  async #forget(entity: EntityId, signal: AbortSignal): Promise<void> {
    const { clock } = this.#session;
    const owner = entityColumns(entity);
    for (const key of await this.#keys(entity, signal)) {
      const series = this.#series.of(entity, key);
      await series.flight;
      const buckets = await collect(this.#reading.buckets({ entity, key, ...everything, order: "asc" }, signal));
      await each(buckets, atOnce, (bucket) =>
        this.#session.execute(sql.forgetPoints, [clock.next(), ...owner, key, bucket], { signal }),
      );
      await this.#session.execute(sql.forgetBuckets, [clock.next(), ...owner, key], { signal });
      forgetSeries(series);
    }
    await this.#session.execute(sql.forgetLatest, [clock.next(), ...owner], { signal });
    await this.#session.execute(sql.forgetKeys, [clock.next(), ...owner], { signal });
  }

  async #keys(entity: EntityId, signal: AbortSignal): Promise<string[]> {
    const keys: string[] = [];
    let state: string | undefined;
    do {
      const page = { rows: 1_000, state };
      const result = await this.#session.execute(sql.keys, entityColumns(entity), { signal, page });
      for (const row of result.rows) keys.push(row["key"]);
      state = result.pageState ?? undefined;
    } while (state !== undefined);
    return keys;
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
