import { each } from "@heddle/cassandra-driver";
import {
  BatchFault,
  type CallOptions,
  type Collection,
  type Fault,
  isFault,
  type Page,
  type PutItem,
  type Query,
  type Stored,
} from "@heddle/plugin-sdk";
import { fault } from "./faults.ts";
import type { Finder } from "./finder.ts";
import { type Layout, nameOf } from "./layout.ts";
import { idOf, parse, type Writer } from "./writer.ts";

/** Documents of one call that are read or written at once. */
const atOnce = 32;
/** What is a failure of one item, not of the call. */
const itemFaults = new Set(["store.conflict", "store.exists", "store.unique"]);

export interface CollectionParts {
  readonly writer: Writer;
  readonly finder: Finder;
  /** Resolves when the indexes of the collection are complete. */
  ready(layout: Layout<any>, signal: AbortSignal): Promise<void>;
}

export class CassandraCollection<T extends object> implements Collection<T> {
  readonly #layout: Layout<T>;
  readonly #parts: CollectionParts;

  constructor(layout: Layout<T>, parts: CollectionParts) {
    this.#layout = layout;
    this.#parts = parts;
  }

  async get(ids: readonly string[], { signal }: CallOptions): Promise<(Stored<T> | undefined)[]> {
    signal.throwIfAborted();
    const found = new Map<string, { readonly body: string; readonly version: number }>();
    await each(new Set(ids), atOnce, async (id) => {
      const { body, version } = await this.#parts.writer.documents.read(this.#layout.name, id, { signal });
      if (body !== undefined) found.set(id, { body, version });
    });
    return ids.map((id) => {
      const row = found.get(id);
      return row === undefined ? undefined : { value: parse(row.body) as T, version: row.version };
    });
  }

  async find(query: Query, { signal }: CallOptions): Promise<Page<T>> {
    signal.throwIfAborted();
    await this.#parts.ready(this.#layout, signal);
    return this.#parts.finder.find(this.#layout, query, signal);
  }

  async put(items: readonly PutItem<T>[], { signal }: CallOptions): Promise<Stored<T>[]> {
    signal.throwIfAborted();
    const stored: Stored<T>[] = new Array(items.length);
    const failures: { index: number; fault: Fault }[] = [];
    const turns = new Turns(items.map(({ value }) => this.#names(value)));
    await this.#parts.ready(this.#layout, signal);
    await each(items, atOnce, async (item, index) => {
      try {
        await turns.mine(index);
        stored[index] = await this.#parts.writer.put(this.#layout, item, signal);
      } catch (error) {
        if (!isFault(error) || !itemFaults.has(error.code)) throw error;
        failures.push({ index, fault: error });
      } finally {
        turns.done(index);
      }
    });
    if (failures.length === 0) return stored;
    failures.sort((a, b) => a.index - b.index);
    const why = (failures[0] as { fault: Fault }).fault.message;
    throw new BatchFault(
      "store.batch",
      `${failures.length} of ${items.length} documents not written: ${why}`,
      failures,
    );
  }

  async remove(ids: readonly string[], { signal }: CallOptions): Promise<number> {
    signal.throwIfAborted();
    await this.#parts.ready(this.#layout, signal);
    let removed = 0;
    await each(new Set(ids), atOnce, async (id) => {
      if (await this.#parts.writer.remove(this.#layout, id, signal)) removed++;
    });
    return removed;
  }

  /** What an item of a call has in common with later ones that must wait for it. */
  #names(value: T): string[] {
    const claims = this.#layout.claims(value).map((place) => `${nameOf(place.fields)} ${place.value}`);
    return [`id ${idOf(this.#layout, value)}`, ...claims];
  }
}

/** Items of one call that concern the same document or claim take turns, in the order of the call. */
class Turns {
  readonly #before: readonly (readonly number[])[];
  readonly #ended: { readonly promise: Promise<void>; end(): void }[];

  constructor(names: readonly (readonly string[])[]) {
    const last = new Map<string, number>();
    this.#before = names.map((all, index) => {
      const before = all.flatMap((name) => last.get(name) ?? []);
      for (const name of all) last.set(name, index);
      return before;
    });
    this.#ended = names.map(() => {
      let end = () => {};
      const promise = new Promise<void>((resolve) => {
        end = resolve;
      });
      return { promise, end };
    });
  }

  async mine(index: number): Promise<void> {
    for (const before of this.#before[index] ?? []) await this.#ended[before]?.promise;
  }

  done(index: number): void {
    this.#ended[index]?.end();
  }
}

export const declaredTwice = (name: string): Fault =>
  fault("store.invalid", `collection ${name} is declared in two ways`);
