import { type CassandraSession, each, type Statement } from "@heddle/cassandra-driver";
import type { NextRow } from "./documents.ts";
import { nameOf, type Place, shardOf, shards } from "./layout.ts";
import { sql } from "./tables.ts";

export interface EntryRow {
  readonly id: string;
  readonly pending: boolean;
  readonly version: number | null;
  readonly body: string | null;
  readonly stamp: number;
}

const pageRows = 1_000;
const atOnce = 16;

/**
 * Lists of documents by the values of their fields. An entry that is not pending is true; a pending one has to be
 * compared with its document:
 *
 * 1. before a document changes, its entries of now and of then are marked as pending (write timestamp stamp - 2);
 * 2. the document changes, conditional on its former stamp;
 * 3. the entries of then are settled and the others dropped (write timestamp stamp).
 *
 * Stamps of a document only grow, so a late step 3 of one writer never undoes step 1 of the next. A writer that does not
 * get through leaves marks, which cost readers a look at the document and are never wrong. Only who has changed the
 * stamp of a document may drop or settle entries.
 */
export class Entries {
  readonly #session: CassandraSession;

  constructor(session: CassandraSession) {
    this.#session = session;
  }

  mark(collection: string, id: string, how: { places: readonly Place[]; stamp: number; signal: AbortSignal }) {
    return this.#all(how.places, sql.markEntry, how.signal, (place) => [
      ...this.#key(collection, place, id),
      how.stamp,
      how.stamp - 2,
    ]);
  }

  async settle(
    at: { readonly collection: string; readonly id: string },
    how: { settled: readonly Place[]; dropped: readonly Place[]; row: NextRow; signal: AbortSignal },
  ): Promise<void> {
    const { version, body, stamp } = how.row;
    const key = (place: Place) => this.#key(at.collection, place, at.id);
    await Promise.all([
      this.#all(how.settled, sql.settleEntry, how.signal, (place) => [...key(place), version, body, stamp, stamp]),
      this.#all(how.dropped, sql.dropEntry, how.signal, (place) => [stamp, ...key(place)]),
    ]);
  }

  /** The rows of one place, all shards at once, page by page. */
  async read(
    collection: string,
    place: Place,
    how: { readonly signal: AbortSignal; take(rows: readonly EntryRow[]): void },
  ): Promise<void> {
    await each(Array.from({ length: shards }).keys(), shards, async (shard) => {
      const params = [collection, nameOf(place.fields), place.value, shard];
      let state: string | undefined;
      do {
        const page = { rows: pageRows, state };
        const result = await this.#session.execute(sql.readEntries, params, { signal: how.signal, page });
        how.take(
          result.rows.map(({ id, pending, version, body, stamp }) => ({
            id,
            pending: pending !== false,
            version,
            body,
            stamp: stamp?.toNumber() ?? 0,
          })),
        );
        state = result.pageState ?? undefined;
      } while (state !== undefined);
    });
  }

  #key(collection: string, { fields, value }: Place, id: string): unknown[] {
    return [collection, nameOf(fields), value, shardOf(id), id];
  }

  #all(
    places: readonly Place[],
    statement: Statement,
    signal: AbortSignal,
    params: (place: Place) => readonly unknown[],
  ): Promise<void> {
    return each(places, atOnce, (place) => this.#session.execute(statement, params(place), { signal }));
  }
}
