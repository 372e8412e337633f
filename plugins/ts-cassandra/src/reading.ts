import { type CassandraSession, decodeValue, type ResultPage } from "@heddle/cassandra-driver";
import type { EntityId, Point, RangeQuery, WindowPoint } from "@heddle/plugin-sdk";
import { Aggregation } from "./aggregation.ts";
import { type BucketSize, bucketOf } from "./buckets.ts";
import { entityColumns, sql } from "./tables.ts";

export interface Span {
  readonly entity: EntityId;
  readonly key: string;
  readonly from: number;
  readonly to: number;
  readonly order: "asc" | "desc";
  readonly limit: number;
}

const pageRows = 1_000;
/** Rows a page while only their sum is wanted. */
const foldedRows = 5_000;
const bucketRows = 1_000;
/** The greatest that `LIMIT` takes. */
const mostRows = 2 ** 31 - 1;

/** Streams points page by page; nothing holds more than two pages. */
export class Reading {
  readonly #session: CassandraSession;
  readonly #size: BucketSize;

  constructor(session: CassandraSession, size: BucketSize) {
    this.#session = session;
    this.#size = size;
  }

  async *range(query: RangeQuery, signal: AbortSignal): AsyncIterable<readonly WindowPoint[]> {
    const { entity, from, to, order, limit, aggregate } = query;
    for (const key of query.keys) {
      signal.throwIfAborted();
      if (aggregate === undefined) yield* this.points({ entity, key, from, to, order, limit }, signal);
      else yield* this.#windows({ entity, key }, aggregate, signal);
    }
  }

  async *points(span: Span, signal: AbortSignal): AsyncIterable<readonly Point[]> {
    let left = span.limit;
    for await (const rows of this.#rows(span, pageRows, signal)) {
      left -= rows.length;
      yield rows.map(({ ts, value }) => ({ key: span.key, ts: ts.toNumber(), value: decodeValue(value) }));
      if (left <= 0) return;
    }
  }

  /** All buckets that exist between two times, in order. */
  async *buckets({ entity, key, from, to, order }: Omit<Span, "limit">, signal: AbortSignal): AsyncIterable<number> {
    if (from >= to) return;
    const bounds = [bucketOf(from, this.#size), bucketOf(to - 1, this.#size)];
    const params = [...entityColumns(entity), key, ...bounds];
    const statement = order === "asc" ? sql.bucketsAscending : sql.bucketsDescending;
    let state: string | undefined;
    do {
      const result = await this.#session.execute(statement, params, { signal, page: { rows: bucketRows, state } });
      for (const row of result.rows) yield row["bucket"].toNumber();
      state = result.pageState ?? undefined;
    } while (state !== undefined);
  }

  /**
   * Raw rows are folded here, page by page: one cell holds values of every type, which no aggregate function of
   * Cassandra reads, and a chart has more windows than a bucket would have queries.
   */
  async *#windows(
    at: { readonly entity: EntityId; readonly key: string },
    { fn, bounds }: NonNullable<RangeQuery["aggregate"]>,
    signal: AbortSignal,
  ): AsyncIterable<readonly WindowPoint[]> {
    const from = bounds[0];
    const to = bounds.at(-1);
    if (from === undefined || to === undefined) return;
    const aggregation = new Aggregation(at.key, fn, bounds);
    const span: Span = { ...at, from, to, order: "asc", limit: Number.POSITIVE_INFINITY };
    for await (const rows of this.#rows(span, foldedRows, signal)) {
      for (const { ts, value } of rows) aggregation.add(ts.toNumber(), decodeValue(value));
    }
    const points = aggregation.result();
    for (let begin = 0; begin < points.length; begin += pageRows) yield points.slice(begin, begin + pageRows);
  }

  async *#rows(span: Span, rows: number, signal: AbortSignal): AsyncIterable<ResultPage["rows"]> {
    let left = span.limit;
    for await (const bucket of this.buckets(span, signal)) {
      for await (const page of this.#bucket({ ...span, limit: left }, { bucket, rows }, signal)) {
        left -= page.length;
        yield page;
        if (left <= 0) return;
      }
    }
  }

  /** The next page is on its way while one is looked at. */
  async *#bucket(
    { entity, key, from, to, order, limit }: Span,
    { bucket, rows }: { readonly bucket: number; readonly rows: number },
    signal: AbortSignal,
  ): AsyncIterable<ResultPage["rows"]> {
    const statement = order === "asc" ? sql.pointsAscending : sql.pointsDescending;
    const params = [...entityColumns(entity), key, bucket, from, to, Math.min(limit, mostRows)];
    const read = (state?: string) => {
      const result = this.#session.execute(statement, params, {
        signal,
        page: { rows: Math.min(rows, limit), state },
      });
      // Awaited below, unless the reader leaves early.
      result.catch(() => undefined);
      return result;
    };
    let next: Promise<ResultPage> | undefined = read();
    while (next !== undefined) {
      const result: ResultPage = await next;
      const more: string | null = result.pageState;
      next = more === null || more === undefined ? undefined : read(more);
      if (result.rows.length > 0) yield result.rows;
    }
  }
}
