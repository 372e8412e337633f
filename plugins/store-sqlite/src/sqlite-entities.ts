import type { Collection, CollectionSpec, EntityStore } from "@heddle/plugin-sdk";
import { SqliteCollection } from "./sqlite-collection.ts";
import type { StoreFile } from "./store-file.ts";

/** Documents in the shared file. */
export class SqliteEntities implements EntityStore {
  readonly #file: StoreFile;
  readonly #collections = new Map<string, SqliteCollection<any>>();

  constructor(file: StoreFile) {
    this.#file = file;
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#file.start(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.stop();
  }

  /** The same name gives the same object: its cache has to see every write. */
  collection<T extends object>(spec: CollectionSpec<T>): Collection<T> {
    const known = this.#collections.get(spec.name);
    if (known !== undefined) {
      this.#file.declare({ name: spec.name, indexes: spec.indexes, unique: spec.unique ?? [] });
      return known;
    }
    const made = new SqliteCollection(this.#file, spec);
    this.#collections.set(spec.name, made);
    return made;
  }
}
