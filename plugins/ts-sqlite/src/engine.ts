import { type Database, transaction } from "@heddle/sqlite-driver/worker";
import { type BatchView, viewBatch } from "./batch.ts";
import { Catalog, type SeriesName } from "./catalog.ts";
import { decodeChunk } from "./chunk.ts";
import { chunkPoints, outside, removeStored, writeRecent } from "./chunks.ts";
import { isText } from "./points.ts";
import { type Latest, never, noLatest, type Series } from "./series.ts";
import { prepareAll, type Statements, schema } from "./tables.ts";

export interface EngineLimits {
  /** Points in the log: more make the oldest go into chunks; also what a start reads again. */
  readonly logPoints: number;
  /** Series in memory. */
  readonly series: number;
}

export interface Batch {
  readonly body: ArrayBuffer;
  /** `entityType, id, key` of the series this batch names first. */
  readonly defines: readonly string[];
  /** Link numbers begin again at 0. */
  readonly reset: boolean;
  readonly ttl: number;
}

export interface Removal {
  readonly entityType: string;
  readonly entityId: string;
  readonly keys: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly latest: "remove" | "keep" | "rewrite";
}

/** Chunk work that one commit takes on besides what came in, in points. */
const extraPoints = 4096;
/** Rows that one step of tidying drops: a millisecond or two. */
const tidyRows = 500;

/**
 * What came in is durable as one log row per commit. Points stay in memory until their series has a chunk's worth, or
 * until the log is full; a log row is deleted when all its points are in chunks.
 */
export class Engine {
  readonly sql: Statements;
  readonly catalog: Catalog;
  readonly #database: Database;
  readonly #limits: EngineLimits;
  /** Series with recent points, by the age of their oldest log row. */
  readonly #waiting = new Set<Series>();
  /** Of these, the ones with a chunk's worth. */
  readonly #due = new Set<Series>();
  #rows: { readonly seq: number; readonly count: number }[] = [];
  #logPoints = 0;
  #seq = 0;

  constructor(database: Database, limits: EngineLimits, names: readonly SeriesName[]) {
    database.exec(schema);
    this.#database = database;
    this.#limits = limits;
    this.sql = prepareAll(database);
    this.catalog = new Catalog(this.sql, { limit: limits.series, names });
    this.#replay();
  }

  /** Durable when it returns. */
  append(batch: Batch): void {
    const bytes = new Uint8Array(batch.body);
    const view = viewBatch(bytes);
    const series = Array.from(view.series, (number) => this.catalog.linked(number));
    const budget = view.count * 2 + extraPoints;
    const flushed = this.#commit(series, (seq) => {
      view.series.set(series.map(({ id }) => id));
      this.sql.insertLog.run(seq, batch.ttl, bytes);
      return this.#flushSome(budget);
    });
    this.#settle(flushed, this.#seq - 1);
    this.#apply(view, (at) => series[at], batch.ttl);
  }

  remove(removal: Removal): void {
    const { series: known } = this.catalog.entity(removal.entityType, removal.entityId);
    const touched = removal.keys.flatMap((key) => known.get(key) ?? []).filter(({ id }) => id !== 0);
    const latest = transaction(this.#database, () => touched.map((series) => this.#removeFrom(series, removal)));
    this.#settle(touched, this.#seq);
    touched.forEach((series, at) => {
      series.latest = latest[at] as Latest;
    });
  }

  /** The series are gone at once; their chunks follow while tidying. */
  forget(entities: readonly { readonly entityType: string; readonly id: string }[]): void {
    const gone = entities.flatMap(({ entityType, id }) => [...this.catalog.entity(entityType, id).series.values()]);
    transaction(this.#database, () => {
      for (const { id } of gone) {
        if (id === 0) continue;
        this.sql.deleteSeries.run(id);
        this.sql.doom.run(id);
      }
    });
    for (const series of gone) {
      this.#waiting.delete(series);
      this.#due.delete(series);
      series.forget();
    }
  }

  /** A write that changes nothing and needs the disk like any other. */
  probe(): void {
    transaction(this.#database, () => {
      this.sql.doom.run(-1);
      this.sql.undoom.run(-1);
    });
  }

  /** Drops some of what has expired or was forgotten, and prunes the log; true when there is more. */
  tidy(now: number): boolean {
    return transaction(this.#database, () => {
      this.#prune();
      const expired = Number(this.sql.dropExpired.run(now, tidyRows).changes);
      const doomed = this.sql.nextDoomed.get() as { series: number } | undefined;
      if (doomed !== undefined && Number(this.sql.dropDoomed.run(doomed.series, tidyRows).changes) < tidyRows) {
        this.sql.undoom.run(doomed.series);
      }
      return expired === tidyRows || doomed !== undefined;
    });
  }

  /** One transaction; on failure no series keeps an id that was not stored. */
  #commit(series: readonly Series[], work: (seq: number) => Series[]): Series[] {
    const created: Series[] = [];
    const seq = this.#seq + 1;
    try {
      const flushed = transaction(this.#database, () => {
        for (const one of series) {
          if (one.id !== 0) continue;
          one.id = Number(this.sql.insertSeries.run(one.entityType, one.entityId, one.key).lastInsertRowid);
          created.push(one);
        }
        this.#prune();
        return work(seq);
      });
      this.#seq = seq;
      return flushed;
    } catch (error) {
      for (const one of created) one.id = 0;
      throw error;
    }
  }

  #apply(view: BatchView, seriesAt: (at: number) => Series | undefined, ttl: number): void {
    let textAt = 0;
    for (let at = 0; at < view.count; at++) {
      const kind = view.kinds[at] as number;
      let value: number | string = view.numbers[at] as number;
      if (isText(kind)) {
        const end = textAt + value;
        value = view.texts.toString("utf8", textAt, end);
        textAt = end;
      }
      const series = seriesAt(at);
      if (series === undefined || series.chunkedSeq >= this.#seq) continue;
      this.#push(series, { ts: view.ts[at] as number, kind, value }, ttl);
    }
    this.#rows.push({ seq: this.#seq, count: view.count });
    this.#logPoints += view.count;
  }

  #push(series: Series, { ts, kind, value }: Latest, ttl: number): void {
    if (series.count === 0) {
      series.since = this.#seq;
      this.#waiting.add(series);
    }
    series.push(ts, kind, value, ttl);
    if (series.count === chunkPoints) this.#due.add(series);
  }

  #flushSome(budget: number): Series[] {
    const flushed: Series[] = [];
    let left = budget;
    const flush = (series: Series) => {
      left -= Math.max(series.count, 16);
      this.#write(series, this.#seq);
      flushed.push(series);
    };
    for (const series of this.#due) {
      if (left <= 0) return flushed;
      flush(series);
    }
    if (this.#logPoints <= this.#limits.logPoints) return flushed;
    for (const series of this.#waiting) {
      if (left <= 0) break;
      if (!this.#due.has(series)) flush(series);
    }
    return flushed;
  }

  #write(series: Series, seq: number): void {
    writeRecent(this.sql, series, series.recent);
    this.#store(series, seq, series.latest);
  }

  #store(series: Series, seq: number, latest: Latest): void {
    const ts = latest.ts === never ? null : latest.ts;
    this.sql.updateSeries.run(seq, ts, latest.kind, latest.value, series.id);
  }

  #settle(flushed: readonly Series[], seq: number): void {
    for (const series of flushed) {
      series.chunked(seq);
      this.#waiting.delete(series);
      this.#due.delete(series);
    }
  }

  /** Deletes the log rows whose points are all in chunks. */
  #prune(): void {
    const [oldest] = this.#waiting;
    const keep = oldest?.since ?? this.#seq + 1;
    const first = this.#rows.findIndex(({ seq }) => seq >= keep);
    const done = first === -1 ? this.#rows.length : first;
    if (done === 0) return;
    this.sql.pruneLog.run(keep);
    for (const { count } of this.#rows.splice(0, done)) this.#logPoints -= count;
  }

  #removeFrom(series: Series, { from, to, latest }: Removal): Latest {
    // First what frees room: a full disk must not stand in the way of making room on it.
    removeStored(this.sql, series.id, { from, to });
    writeRecent(this.sql, series, outside(series.recent, from, to));
    this.#store(series, this.#seq, series.latest);
    const hit = series.latest.ts >= from && series.latest.ts < to;
    if (!hit || latest === "keep") return series.latest;
    const remaining = latest === "rewrite" ? this.#newest(series.id) : noLatest;
    this.#store(series, this.#seq, remaining);
    return remaining;
  }

  #newest(series: number): Latest {
    const row = this.sql.lastChunk.get(series) as { body: Uint8Array } | undefined;
    if (row === undefined) return noLatest;
    const { ts, kinds, values } = decodeChunk(row.body);
    const last = ts.length - 1;
    return { ts: ts[last] as number, kind: kinds[last] as number, value: values[last] as number | string };
  }

  #replay(): void {
    const seriesOf = this.catalog.finder();
    let after = 0;
    for (;;) {
      const rows = this.sql.logAfter.all(after) as { seq: number; ttl: number; body: Uint8Array }[];
      for (const { seq, ttl, body } of rows) {
        this.#seq = seq;
        const view = viewBatch(aligned(body));
        this.#apply(view, (at) => seriesOf(view.series[at] as number), ttl);
        after = seq;
      }
      if (rows.length === 0) break;
    }
    const last = this.sql.lastSeq.get() as { seq: number } | undefined;
    this.#seq = Math.max(this.#seq, last?.seq ?? 0);
  }
}

const aligned = (body: Uint8Array): Uint8Array => (body.byteOffset % 8 === 0 ? body : new Uint8Array(body));
