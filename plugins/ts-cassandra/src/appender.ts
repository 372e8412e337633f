import { type Batched, type CassandraSession, each, encodeValue } from "@heddle/cassandra-driver";
import type { EntityId, Sample, Value } from "@heddle/plugin-sdk";
import { type BucketSize, bucketEnd, bucketOf } from "./buckets.ts";
import type { Latest, Newest } from "./latest.ts";
import { rememberBucket, type Series, type SeriesCache } from "./series.ts";
import { entityColumns, sql } from "./tables.ts";

export interface AppendPlan {
  readonly bucket: BucketSize;
  /** ms; the longest life of a point. */
  readonly ttl: number | undefined;
}

interface Row {
  readonly ts: number;
  readonly value: Value;
  readonly written: number;
}

/** The points of one partition. */
interface Chunk {
  readonly series: Series;
  readonly bucket: number;
  readonly rows: Row[];
}

/** Requests of one call under way at once; the session's bound is for all calls together. */
const atOnce = 64;
const rowsPerBatch = 200;
/** A batch ends here too, far below the size that servers refuse. */
const bytesPerBatch = 256 * 1024;
/** For so long a listed bucket is not listed again; then it is, in case another node has forgotten the entity. */
const listedForMs = 3_600_000;
/** The longest that Cassandra takes: 20 years. */
const longestTtlSeconds = 630_720_000;

export class Appender {
  readonly #session: CassandraSession;
  readonly #series: SeriesCache;
  readonly #latest: Latest;
  readonly #plan: AppendPlan;

  constructor(session: CassandraSession, parts: { series: SeriesCache; latest: Latest; plan: AppendPlan }) {
    this.#session = session;
    this.#series = parts.series;
    this.#latest = parts.latest;
    this.#plan = parts.plan;
  }

  async append(samples: readonly Sample[], ttlMs: number | undefined, signal: AbortSignal): Promise<void> {
    const { chunks, newest } = this.#sort(samples);
    if (chunks.length === 0) return;
    await this.#list(chunks, signal);
    const ttl = Math.min(ttlMs || Number.POSITIVE_INFINITY, this.#plan.ttl ?? Number.POSITIVE_INFINITY);
    const unsure: [EntityId, Newest[]][] = [];
    const tasks: (() => Promise<unknown>)[] = [];
    for (const [entity, all] of newest) {
      const ready = all.filter((one) => this.#latest.inOrder(one));
      const rest = all.filter((one) => !ready.includes(one));
      if (rest.length > 0) unsure.push([entity, rest]);
      if (ready.length === 0) continue;
      const written = this.#latest.write(entity, ready, signal);
      // Awaited below; until then a failure is nobody's.
      written.catch(() => undefined);
      tasks.push(() => written);
    }
    const now = this.#session.parts.world.now();
    for (const batch of batches(chunks)) tasks.push(() => this.#put(batch, { ttl, now }, signal));
    await each(tasks, atOnce, (task) => task());
    await each(unsure, atOnce, ([entity, all]) => this.#latest.offer(entity, all, signal));
  }

  /** By partition, and the newest point of each series, by entity. */
  #sort(samples: readonly Sample[]): { chunks: Chunk[]; newest: Map<EntityId, Newest[]> } {
    const chunks = new Map<Series, Map<number, Chunk>>();
    const best = new Map<Series, Newest>();
    const size = this.#plan.bucket;
    for (const { entity, ts, values } of samples) {
      const bucket = bucketOf(ts, size);
      for (const key in values) {
        const row: Row = { ts, value: values[key] as Value, written: this.#session.clock.next() };
        const series = this.#series.of(entity, key);
        const of = chunks.get(series) ?? new Map<number, Chunk>();
        chunks.set(series, of);
        const chunk = of.get(bucket);
        if (chunk === undefined) of.set(bucket, { series, bucket, rows: [row] });
        else chunk.rows.push(row);
        if (ts >= (best.get(series)?.ts ?? ts)) best.set(series, { series, ...row });
      }
    }
    return { chunks: [...chunks.values()].flatMap((of) => [...of.values()]), newest: byEntity(best.values()) };
  }

  /** Buckets and keys are listed before their points are written, so that no acknowledged point is ever unlisted. */
  async #list(chunks: readonly Chunk[], signal: AbortSignal): Promise<void> {
    const { clock, parts } = this.#session;
    const now = parts.world.elapsed();
    const missing = chunks.filter(({ series, bucket }) => !((series.buckets.get(bucket) ?? 0) > now));
    await each(missing, atOnce, async ({ series, bucket }) => {
      const owner = [...entityColumns(series.entity), series.key];
      const written = clock.next();
      await Promise.all([
        this.#session.execute(sql.putKey, [...owner, written], { signal }),
        this.#session.execute(sql.putBucket, [...owner, bucket, this.#bucketTtl(bucket), written], { signal }),
      ]);
      rememberBucket(series, bucket, now + listedForMs);
    });
  }

  /** A bucket is listed for as long as a point of it can live. */
  #bucketTtl(bucket: number): number {
    const { ttl, bucket: size } = this.#plan;
    if (ttl === undefined || size === "INDEFINITE") return 0;
    const left = bucketEnd(bucket, size) + ttl - this.#session.parts.world.now();
    return Math.max(1, Math.min(longestTtlSeconds, Math.ceil(left / 1_000)));
  }

  async #put({ series, bucket, rows }: Chunk, life: { ttl: number; now: number }, signal: AbortSignal): Promise<void> {
    const owner = [...entityColumns(series.entity), series.key, bucket];
    const statements: Batched[] = [];
    for (const { ts, value, written } of rows) {
      // It counts from the point's time, as in the other stores; what has lived so long already is not written.
      const seconds = Number.isFinite(life.ttl) ? Math.ceil((ts + life.ttl - life.now) / 1_000) : 0;
      if (Number.isFinite(life.ttl) && seconds <= 0) continue;
      const params = [...owner, ts, encodeValue(value), Math.min(longestTtlSeconds, seconds), written];
      statements.push({ statement: sql.putPoint, params });
    }
    const [only] = statements;
    if (only === undefined) return;
    if (statements.length === 1) await this.#session.execute(only.statement, only.params, { signal });
    else await this.#session.batch(sql.putPoint.purpose, statements, { signal });
  }
}

function byEntity(newest: Iterable<Newest>): Map<EntityId, Newest[]> {
  const names = new Map<string, Newest[]>();
  for (const one of newest) {
    const { entityType, id } = one.series.entity;
    const name = `${entityType}/${id}`;
    const known = names.get(name);
    if (known === undefined) names.set(name, [one]);
    else known.push(one);
  }
  return new Map([...names.values()].map((all) => [(all[0] as Newest).series.entity, all]));
}

function* batches(chunks: readonly Chunk[]): Iterable<Chunk> {
  for (const { series, bucket, rows } of chunks) {
    for (let at = 0; at < rows.length; ) {
      let bytes = 0;
      let end = at;
      while (end < rows.length && end - at < rowsPerBatch && bytes < bytesPerBatch) {
        bytes += sizeOf((rows[end] as Row).value);
        end++;
      }
      yield { series, bucket, rows: rows.slice(at, end) };
      at = end;
    }
  }
}

/** Bytes, roughly: texts are what counts. */
function sizeOf(value: Value): number {
  if (typeof value === "string") return 40 + value.length;
  return typeof value === "object" && "text" in value ? 40 + value.text.length : 50;
}
