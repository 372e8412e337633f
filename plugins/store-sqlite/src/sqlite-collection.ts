import {
  BatchFault,
  type CallOptions,
  type Collection,
  type CollectionSpec,
  type Page,
  type Plain,
  type PutItem,
  type Query,
  readTypedJson,
  type Stored,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { fault } from "./faults.ts";
import { fieldsOf, fieldValue } from "./fields.ts";
import type { FindAnswer, FoundDocument, PutAnswer, WriteItem } from "./protocol.ts";
import type { StoreFile } from "./store-file.ts";
import { TextCache } from "./text-cache.ts";

/** Documents of one collection; texts of recently read ones are kept, since this process is the file's only owner. */
export class SqliteCollection<T extends object> implements Collection<T> {
  readonly #file: StoreFile;
  readonly #spec: CollectionSpec<T>;
  readonly #fields: readonly string[];
  readonly #cache: TextCache<FoundDocument>;
  /** Grows when a write begins and when it ends: what was read meanwhile may be old and is not kept. */
  #writes = 0;
  #writing = 0;

  constructor(file: StoreFile, spec: CollectionSpec<T>) {
    const { name, indexes, unique = [] } = spec;
    file.declare({ name, indexes, unique });
    this.#file = file;
    this.#spec = spec;
    this.#fields = fieldsOf([...indexes, ...unique]);
    // Large documents would push everything else out, and who reads them often keeps them.
    this.#cache = new TextCache(spec.listed === false ? 0 : file.config.cacheBytes);
  }

  async get(ids: readonly string[], call: CallOptions): Promise<(Stored<T> | undefined)[]> {
    call.signal.throwIfAborted();
    const found = ids.map((id) => this.#cache.get(id));
    const missing = ids.filter((_, at) => found[at] === undefined);
    if (missing.length > 0) {
      const seen = this.#writes;
      const arg = { collection: this.#spec.name, ids: missing };
      const read = (await this.#file.read("get", arg, call.signal)) as (FoundDocument | undefined)[];
      const keep = this.#writing === 0 && this.#writes === seen;
      for (let at = 0, next = 0; at < ids.length; at++) {
        if (found[at] !== undefined) continue;
        const document = read[next++];
        found[at] = document;
        if (keep && document !== undefined) this.#cache.set(document.id, document);
      }
    }
    return found.map((document) => (document === undefined ? undefined : stored<T>(document)));
  }

  async find(query: Query, call: CallOptions): Promise<Page<T>> {
    if (this.#spec.listed === false && query.where?.[this.#spec.id] === undefined) {
      throw fault("store.invalid", `${this.#spec.name} is not listed: its documents are found by id`);
    }
    const sort = query.sort?.by === this.#spec.id ? { ...query.sort, by: "id" } : query.sort;
    const arg = { collection: this.#spec.name, query: sort === undefined ? query : { ...query, sort } };
    const { items, total } = (await this.#file.read("find", arg, call.signal)) as FindAnswer;
    return { items: items.map((document) => stored<T>(document)), total };
  }

  async put(items: readonly PutItem<T>[], call: CallOptions): Promise<Stored<T>[]> {
    if (items.length === 0) return [];
    const encoded = items.map((item) => this.#encode(item));
    const arg = { collection: this.#spec.name, items: encoded };
    const answer = (await this.#write("put", arg, { ids: encoded.map(({ id }) => id), call })) as PutAnswer;
    const failures = answer.flatMap((outcome, index) => {
      if (typeof outcome === "number") return [];
      const data = outcome.fields === undefined ? undefined : { fields: outcome.fields };
      return [{ index, fault: fault(outcome.code, outcome.message, data) }];
    });
    const [first] = failures;
    if (first !== undefined) {
      const message = `${failures.length} of ${items.length} documents not written: ${first.fault.message}`;
      throw new BatchFault("store.batch", message, failures);
    }
    return items.map(({ value }, at) => ({ value, version: answer[at] as number }));
  }

  async remove(ids: readonly string[], call: CallOptions): Promise<number> {
    if (ids.length === 0) return 0;
    const arg = { collection: this.#spec.name, ids };
    return (await this.#write("remove", arg, { ids, call })) as number;
  }

  async #write(
    op: string,
    arg: unknown,
    { ids, call }: { ids: readonly string[]; call: CallOptions },
  ): Promise<unknown> {
    this.#writes++;
    this.#writing++;
    for (const id of ids) this.#cache.drop(id);
    try {
      return await this.#file.write(op, arg, call.signal);
    } finally {
      this.#writing--;
      this.#writes++;
    }
  }

  #encode({ value, expect }: PutItem<T>): WriteItem {
    const id = value[this.#spec.id];
    if (typeof id !== "string" || id === "") {
      throw fault("store.invalid", `a document of ${this.#spec.name} has no text in its field ${this.#spec.id}`);
    }
    const fields = this.#fields.map((field) => fieldValue(value, field));
    return { id, expect, body: writeTypedJson(value as unknown as Plain), fields };
  }
}

const stored = <T>({ version, body }: FoundDocument): Stored<T> => ({
  value: readTypedJson(body) as unknown as T,
  version,
});
