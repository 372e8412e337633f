import { performance } from "node:perf_hooks";
import { workerData } from "node:worker_threads";
import {
  classify,
  closeDatabase,
  type Database,
  openDatabase,
  type Request,
  serve,
  transaction,
} from "@heddle/sqlite-driver/worker";
import { AttributeTable } from "./attributes.ts";
import { DocumentTable } from "./documents.ts";
import { fold } from "./fields.ts";
import type { Declaration, FindCall, IdsCall, PutCall, Written } from "./protocol.ts";

export interface WorkerOptions {
  readonly file: string;
  /** Pages the file may have; 0 for no bound. */
  readonly maxPages: number;
}

type Operations = Record<string, (arg: never) => unknown>;

/** Writes that arrived together share one transaction; reads see committed data only. */
class StoreWorker {
  readonly #database: Database;
  readonly #attributes: AttributeTable;
  readonly #tables = new Map<string, DocumentTable>();
  readonly #writes: Operations;
  readonly #others: Operations;

  constructor(database: Database) {
    this.#database = database;
    database.function("fold", { deterministic: true }, fold);
    this.#attributes = new AttributeTable(database);
    const attributes = this.#attributes;
    this.#writes = {
      put: ({ collection, items }: PutCall) => this.#table(collection).put(items),
      remove: ({ collection, ids }: IdsCall) => this.#table(collection).remove(ids),
      putAttributes: attributes.put.bind(attributes),
      removeAttributes: attributes.remove.bind(attributes),
      forgetAttributes: attributes.forget.bind(attributes),
    };
    this.#others = {
      open: () => undefined,
      get: ({ collection, ids }: IdsCall) => this.#table(collection).get(ids),
      find: ({ collection, query }: FindCall) => this.#table(collection).find(query),
      attributes: attributes.get.bind(attributes),
      close: () => closeDatabase(database),
    };
  }

  handle(requests: readonly Request[]): void {
    for (const request of requests)
      if (request.op === "declare") this.#answer(request, (arg) => this.#declare(arg as Declaration));
    const writes = requests.filter(({ op }) => op in this.#writes);
    if (writes.length > 0) this.#commit(writes);
    for (const request of requests) {
      const run = this.#others[request.op];
      if (run !== undefined) this.#answer(request, run as (arg: unknown) => unknown);
    }
  }

  #commit(writes: readonly Request[]): void {
    const begun = performance.now();
    let outcomes: ({ readonly value: unknown } | { readonly error: unknown })[];
    try {
      outcomes = transaction(this.#database, () => {
        const done = writes.map((request) => this.#write(request));
        this.#attributes.storeVersion();
        return done;
      });
    } catch (error) {
      this.#attributes.settled(false);
      for (const request of writes) request.fail(error);
      return;
    }
    this.#attributes.settled(true);
    const commit = { seconds: (performance.now() - begun) / 1000, writes: writes.length };
    for (const [at, request] of writes.entries()) {
      const outcome = outcomes[at] as (typeof outcomes)[0];
      if ("error" in outcome) request.fail(outcome.error);
      else request.reply((at === 0 ? { value: outcome.value, commit } : { value: outcome.value }) satisfies Written);
    }
  }

  /**
   * A failing write does not fail its neighbours: each is all or nothing by a savepoint. A failing disk has undone the
   * transaction already and fails them all.
   */
  #write({ op, arg }: Request): { readonly value: unknown } | { readonly error: unknown } {
    this.#database.exec("SAVEPOINT one");
    try {
      const value = this.#writes[op]?.(arg as never);
      this.#database.exec("RELEASE one");
      return { value };
    } catch (error) {
      if (classify(error) !== "defect") throw error;
      this.#database.exec("ROLLBACK TO one; RELEASE one");
      return { error };
    }
  }

  #declare(declaration: Declaration): void {
    transaction(this.#database, () =>
      this.#tables.set(declaration.name, new DocumentTable(this.#database, declaration)),
    );
  }

  #table(name: string): DocumentTable {
    const table = this.#tables.get(name);
    if (table === undefined) throw new Error(`collection ${name} was never declared`);
    return table;
  }

  #answer(request: Request, run: (arg: unknown) => unknown): void {
    try {
      request.reply(run(request.arg));
    } catch (error) {
      request.fail(error);
    }
  }
}

const options = workerData as WorkerOptions;
const opened = openDatabase(options.file).then((database) => {
  if (options.maxPages > 0) database.exec(`PRAGMA max_page_count = ${options.maxPages}`);
  return new StoreWorker(database);
});
opened.catch(() => undefined);

serve((requests) => {
  opened.then(
    (worker) => worker.handle(requests),
    (error) => {
      for (const request of requests) request.fail(error);
    },
  );
});
