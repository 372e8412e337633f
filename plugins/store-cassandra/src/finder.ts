import { type CassandraSession, each } from "@heddle/cassandra-driver";
import type { Page, Query, Scalar } from "@heddle/plugin-sdk";
import type { EntryRow } from "./entries.ts";
import { fault } from "./faults.ts";
import { fieldOf, folded, inOrder, matches } from "./fields.ts";
import type { Layout, Place } from "./layout.ts";
import { parse, type Writer } from "./writer.ts";

interface Match {
  readonly id: string;
  readonly version: number;
  readonly body: string;
  readonly stamp: number;
  readonly by: Scalar;
}

const atOnce = 32;
/** A mark this old was left by a writer that did not get through, or is gone. */
const leftBehindMs = 10_000;
/** Documents whose entries one query tidies up. */
const repairsPerFind = 8;

/** Answers queries: reads one partition of entries, then filters, counts and sorts here. */
export class Finder {
  readonly #session: CassandraSession;
  readonly #writer: Writer;
  readonly #maxScan: number;

  constructor(session: CassandraSession, writer: Writer, maxScan: number) {
    this.#session = session;
    this.#writer = writer;
    this.#maxScan = maxScan;
  }

  async find<T extends object>(layout: Layout<T>, query: Query, signal: AbortSignal): Promise<Page<T>> {
    const found = await this.#matches(layout, query, signal);
    const { sort, page = 0, limit } = query;
    const direction = sort?.order === "desc" ? -1 : 1;
    const byId = sort?.by === layout.id ? direction : 1;
    const all = [...found.values()].sort(
      (a, b) => (sort === undefined ? 0 : direction * inOrder(a.by, b.by)) || byId * inOrder(a.id, b.id),
    );
    const items = all.slice(page * limit, (page + 1) * limit);
    return { items: items.map(({ body, version }) => ({ value: parse(body) as T, version })), total: all.length };
  }

  async #matches(layout: Layout<any>, query: Query, signal: AbortSignal): Promise<Map<string, Match>> {
    const found = new Map<string, Match>();
    const path = layout.path(query);
    const collect = (id: string, row: Pick<EntryRow, "version" | "body" | "stamp">) =>
      this.#take(found, query, { id, ...row });
    if (path.kind === "entries") {
      await this.#entries(layout, { places: path.places, found, query }, signal);
      return found;
    }
    let ids: readonly string[];
    if (path.kind === "ids") ids = [...new Set(path.ids)];
    else {
      const owner = await this.#writer.claims.owner(layout.name, path.place, signal);
      ids = owner === undefined ? [] : [owner];
    }
    await each(ids, atOnce, async (id) => {
      const { version, body, stamp } = await this.#writer.documents.read(layout.name, id, { signal });
      if (body !== undefined) collect(id, { version, body, stamp: stamp ?? 0 });
    });
    return found;
  }

  async #entries(
    layout: Layout<any>,
    at: { readonly places: readonly Place[]; readonly found: Map<string, Match>; readonly query: Query },
    signal: AbortSignal,
  ): Promise<void> {
    const pending = new Map<string, { oldest: number; readonly places: Place[] }>();
    let looked = 0;
    await each(at.places, atOnce, (place) =>
      this.#writer.entries.read(layout.name, place, {
        signal,
        take: (rows) => {
          looked += rows.length;
          if (looked > this.#maxScan) throw tooBroad(layout.name, at.query, this.#maxScan);
          for (const row of rows) {
            if (!row.pending) {
              this.#take(at.found, at.query, row);
              continue;
            }
            const one = pending.get(row.id) ?? { oldest: row.stamp, places: [] };
            one.oldest = Math.min(one.oldest, row.stamp);
            one.places.push(place);
            pending.set(row.id, one);
          }
        },
      }),
    );
    await each(pending.keys(), atOnce, async (id) => {
      const { version, body, stamp } = await this.#writer.documents.read(layout.name, id, { signal });
      // The document says what is true, also against a settled entry of another place.
      at.found.delete(id);
      if (body !== undefined) this.#take(at.found, at.query, { id, version, body, stamp: stamp ?? 0 });
    });
    await this.#tidy(layout, pending, signal);
  }

  async #tidy(
    layout: Layout<any>,
    pending: ReadonlyMap<string, { readonly oldest: number; readonly places: readonly Place[] }>,
    signal: AbortSignal,
  ): Promise<void> {
    const before = (this.#session.parts.world.now() - leftBehindMs) * 1_000;
    const old = [...pending].filter(([, { oldest }]) => oldest < before).slice(0, repairsPerFind);
    await each(old, repairsPerFind, ([id, { places }]) =>
      // The answer is right without it; the next query tries again.
      this.#writer.repair(layout, id, { garbage: places, signal }).catch(() => undefined),
    );
  }

  #take(
    found: Map<string, Match>,
    query: Query,
    { id, version, body, stamp }: Pick<EntryRow, "id" | "version" | "body" | "stamp">,
  ): void {
    if (body === null || version === null) return;
    const known = found.get(id);
    if (known !== undefined && known.stamp >= stamp) return;
    const value = parse(body);
    if (!matches(value, query)) return;
    const by = query.sort === undefined ? null : folded(fieldOf(value, query.sort.by));
    found.set(id, { id, version, body, stamp, by });
  }
}

function tooBroad(collection: string, { where = {} }: Query, limit: number) {
  const fields = Object.keys(where).join(", ") || "nothing";
  const message = `${collection}: a query by ${fields} looks at more than ${limit} documents (maxScan)`;
  return fault("store.query-too-broad", message);
}
