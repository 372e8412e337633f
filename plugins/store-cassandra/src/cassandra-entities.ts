import { type CassandraSession, each } from "@heddle/cassandra-driver";
import type { Collection, CollectionSpec, EntityStore } from "@heddle/plugin-sdk";
import { CassandraCollection, declaredTwice } from "./cassandra-collection.ts";
import type { EntryRow } from "./entries.ts";
import { Finder } from "./finder.ts";
import { Layout, nameOf } from "./layout.ts";
import { sql } from "./tables.ts";
import { Writer } from "./writer.ts";

/** Documents that are listed anew at once. */
const atOnce = 16;

/** Documents in one set of tables for all collections. */
export class CassandraEntities implements EntityStore {
  readonly #session: CassandraSession;
  readonly #writer: Writer;
  readonly #finder: Finder;
  readonly #collections = new Map<string, { readonly spec: string; readonly made: CassandraCollection<any> }>();
  readonly #complete = new Map<string, Promise<void>>();

  constructor(session: CassandraSession, maxScan: number) {
    this.#session = session;
    this.#writer = new Writer(session);
    this.#finder = new Finder(session, this.#writer, maxScan);
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#session.start(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#session.stop();
  }

  collection<T extends object>(spec: CollectionSpec<T>): Collection<T> {
    const text = JSON.stringify([spec.id, spec.indexes, spec.unique ?? [], spec.listed ?? true]);
    const known = this.#collections.get(spec.name);
    if (known !== undefined) {
      if (known.spec !== text) throw declaredTwice(spec.name);
      return known.made;
    }
    const made = new CassandraCollection(new Layout(spec), {
      writer: this.#writer,
      finder: this.#finder,
      ready: (layout, signal) => this.#ready(layout, signal),
    });
    this.#collections.set(spec.name, { spec: text, made });
    return made;
  }

  /** Once for each collection, before it is first written or searched. */
  async #ready(layout: Layout<any>, signal: AbortSignal): Promise<void> {
    const { name } = layout;
    let complete = this.#complete.get(name);
    if (complete === undefined) {
      complete = this.#fillIndexes(layout, signal);
      this.#complete.set(name, complete);
      complete.catch(() => this.#complete.delete(name));
    }
    await complete;
  }

  /** An index that a newer version declares gets the documents that are there already. */
  async #fillIndexes(layout: Layout<any>, signal: AbortSignal): Promise<void> {
    const { rows } = await this.#session.execute(sql.builtIndexes, [layout.name], { signal });
    const built = new Set(rows.map((row) => row["fields"] as string));
    const missing = layout.prefixes.map(nameOf).filter((fields) => !built.has(fields));
    if (missing.length === 0) return;
    if (built.size > 0) await this.#listAnew(layout, signal);
    for (const fields of missing) await this.#session.execute(sql.putBuiltIndex, [layout.name, fields], { signal });
  }

  async #listAnew(layout: Layout<any>, signal: AbortSignal): Promise<void> {
    const ids: string[] = [];
    const take = (rows: readonly EntryRow[]) => ids.push(...rows.map(({ id }) => id));
    await this.#writer.entries.read(layout.name, { fields: [], value: "[]" }, { signal, take });
    this.#session.parts.log.info("an index is filled", { collection: layout.name, documents: ids.length });
    await each(ids, atOnce, (id) => this.#writer.repair(layout, id, { garbage: [], signal }));
  }
}
