import {
  type Batched,
  type CassandraSession,
  decodeValue,
  encodeValue,
  type Statement,
} from "@heddle/cassandra-driver";
import type { EntityId, Point, Value } from "@heddle/plugin-sdk";
import type { Series } from "./series.ts";
import { entityColumns, sql } from "./tables.ts";

/** The newest point of one series in one call, and its write timestamp. */
export interface Newest {
  readonly series: Series;
  readonly ts: number;
  readonly value: Value;
  readonly written: number;
}

/** One writer's row of a key. */
interface Row {
  readonly key: string;
  readonly writer: string;
  readonly ts: number;
  readonly value: Buffer;
  /** Its write timestamp. */
  readonly written: number;
}

const pageRows = 2_000;
/** `key IN` lists are cut here, so that a request stays small. */
const keysAtOnce = 200;

/**
 * Latest values. Each session has rows of its own, which only it replaces, by ever newer points; a reader takes the
 * newest row of a key, by time and then by write timestamp. A removal deletes the rows it saw, at the write timestamps
 * it saw, so a row written meanwhile stays.
 */
export class Latest {
  readonly #session: CassandraSession;
  readonly #writer: string;

  constructor(session: CassandraSession) {
    this.#session = session;
    this.#writer = session.parts.world.uuid();
  }

  async read(entity: EntityId, keys: readonly string[] | "all", signal: AbortSignal): Promise<Point[]> {
    const rows = await this.#rows(entity, keys, signal);
    const newest = new Map<string, Row>();
    for (const row of rows) if (newer(row, newest.get(row.key))) newest.set(row.key, row);
    const names = keys === "all" ? newest.keys() : new Set(keys);
    return [...names].flatMap((key) => {
      const row = newest.get(key);
      return row === undefined ? [] : { key, ts: row.ts, value: decodeValue(row.value) };
    });
  }

  /**
   * True when the point may be written without a look at what is stored: it is not older than what this session wrote
   * or saw. The caller then has to `write` it before anything else is awaited.
   */
  inOrder({ series, ts }: Newest): boolean {
    return series.latest !== undefined && ts >= series.latest;
  }

  /** Puts them into this session's rows; all of one entity. */
  write(entity: EntityId, newest: readonly Newest[], signal: AbortSignal): Promise<unknown> {
    return this.#write(
      newest.map((one) => this.#put(entity, one)),
      newest,
      signal,
    );
  }

  /**
   * Looks at what is stored and writes those that are not older. The points themselves must be stored already: a removal
   * that puts the newest remaining point in place either finds them, or is seen here.
   */
  async offer(entity: EntityId, newest: readonly Newest[], signal: AbortSignal): Promise<void> {
    let open = newest;
    while (open.length > 0) {
      // Asked again after each wait: nothing may be under way at the moment the look begins.
      for (let busy = flightOf(open); busy !== undefined; busy = flightOf(open)) await busy;
      const before = new Map(open.map(({ series }) => [series, series.written]));
      const rows = await this.#rows(
        entity,
        open.map(({ series }) => series.key),
        signal,
      );
      // The look may not have seen what this session wrote meanwhile; what it knew from before says nothing.
      const again = open.filter(
        ({ series, ts }) => series.written !== before.get(series) && (series.latest ?? ts) > ts,
      );
      const decided = open.filter((one) => !again.includes(one));
      await this.#takeOver(entity, { newest: decided, rows }, signal);
      open = again;
    }
  }

  /** Drops the value when it lies in the range; true when it did. */
  async drop(series: Series, range: { from: number; to: number }, signal: AbortSignal): Promise<boolean> {
    await series.flight;
    const rows = await this.#rows(series.entity, [series.key], signal);
    let newest: Row | undefined;
    for (const row of rows) if (newer(row, newest)) newest = row;
    if (newest === undefined || newest.ts < range.from || newest.ts >= range.to) return false;
    // An older row of another writer would show otherwise.
    const drops = rows.map((row) => this.#drop(series.entity, row));
    await this.#session.batch(sql.dropLatest.purpose, drops, { signal });
    series.latest = undefined;
    return true;
  }

  async #takeOver(
    entity: EntityId,
    { newest, rows }: { readonly newest: readonly Newest[]; readonly rows: readonly Row[] },
    signal: AbortSignal,
  ): Promise<void> {
    const statements: Batched[] = [];
    const written: Newest[] = [];
    for (const one of newest) {
      const stored = rows.filter(({ key }) => key === one.series.key);
      const best = Math.max(...stored.map(({ ts }) => ts));
      if (best > one.ts) {
        one.series.latest = best;
        continue;
      }
      const own = stored.find(({ writer }) => writer === this.#writer);
      one.series.written = Math.max(one.series.written, own?.written ?? 0);
      written.push(one);
      statements.push(this.#put(entity, one));
      for (const row of stored) if (row.writer !== this.#writer) statements.push(this.#drop(entity, row));
    }
    if (written.length > 0) await this.#write(statements, written, signal);
  }

  /** What replaces an older point must be written later than that was; points of one time keep the order of their calls. */
  #put(entity: EntityId, { series, ts, value, written: called }: Newest): Batched {
    const later = called > series.written || ts === series.latest;
    const written = later ? called : this.#session.clock.next();
    series.written = Math.max(series.written, written);
    const params = [...entityColumns(entity), series.key, this.#writer, ts, encodeValue(value), written];
    return { statement: sql.putLatest, params };
  }

  #drop(entity: EntityId, { key, writer, written }: Row): Batched {
    return { statement: sql.dropLatest, params: [written, ...entityColumns(entity), key, writer] };
  }

  /** Remembers at once what is on its way, so that calls made meanwhile know it. */
  async #write(statements: readonly Batched[], newest: readonly Newest[], signal: AbortSignal): Promise<void> {
    const sent = this.#session.batch(sql.putLatest.purpose, statements, { signal });
    const ended = sent.catch(() => {
      // Nobody knows what is stored now; the next one looks.
      for (const { series } of newest) series.latest = undefined;
    });
    for (const { series, ts } of newest) {
      series.latest = ts;
      const flight = Promise.all([series.flight, ended]).then(() => {
        if (series.flight === flight) series.flight = undefined;
      });
      series.flight = flight;
    }
    await sent;
  }

  async #rows(entity: EntityId, keys: readonly string[] | "all", signal: AbortSignal): Promise<Row[]> {
    const owner = entityColumns(entity);
    if (keys === "all") return this.#pages(sql.allLatest, owner, signal);
    const wanted = [...new Set(keys)];
    const rows: Row[] = [];
    for (let at = 0; at < wanted.length; at += keysAtOnce) {
      rows.push(...(await this.#pages(sql.latest, [...owner, wanted.slice(at, at + keysAtOnce)], signal)));
    }
    return rows;
  }

  async #pages(statement: Statement, params: readonly unknown[], signal: AbortSignal): Promise<Row[]> {
    const found: Row[] = [];
    let state: string | undefined;
    do {
      const result = await this.#session.execute(statement, params, { signal, page: { rows: pageRows, state } });
      for (const { key, writer, ts, value, written } of result.rows) {
        found.push({ key, writer, ts: ts.toNumber(), value, written: written.toNumber() });
      }
      state = result.pageState ?? undefined;
    } while (state !== undefined);
    return found;
  }
}

const flightOf = (newest: readonly Newest[]): Promise<unknown> | undefined =>
  newest.find(({ series }) => series.flight !== undefined)?.series.flight;

const newer = (row: Row, than: Row | undefined): boolean =>
  than === undefined || row.ts > than.ts || (row.ts === than.ts && row.written > than.written);
