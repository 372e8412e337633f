import { performance } from "node:perf_hooks";
import {
  classify,
  type Database,
  type DatabasePlace,
  LiveDatabase,
  type Request,
  transaction,
} from "@heddle/sqlite-driver/worker";
import { AttributeTable } from "./attributes.ts";
import { DocumentTable } from "./documents.ts";
import { fold } from "./fields.ts";
import type { Declaration, FindCall, IdsCall, PutCall, Written } from "./protocol.ts";

type Operations = Record<string, (arg: never) => unknown>;

/** The tables of one open database, and what can be done with them. */
class Tables {
  readonly attributes: AttributeTable;
  readonly writes: Operations;
  readonly reads: Operations;
  readonly #database: Database;
  readonly #documents = new Map<string, DocumentTable>();

  constructor(database: Database, declarations: Iterable<Declaration>) {
    this.#database = database;
    database.function("fold", { deterministic: true }, fold);
    const attributes = new AttributeTable(database);
    this.attributes = attributes;
    this.writes = {
      put: ({ collection, items }: PutCall) => this.#table(collection).put(items),
      remove: ({ collection, ids }: IdsCall) => this.#table(collection).remove(ids),
      putAttributes: attributes.put.bind(attributes),
      removeAttributes: attributes.remove.bind(attributes),
      forgetAttributes: attributes.forget.bind(attributes),
      probe: () => attributes.touch(),
    };
    this.reads = {
      open: () => undefined,
      get: ({ collection, ids }: IdsCall) => this.#table(collection).get(ids),
      find: ({ collection, query }: FindCall) => this.#table(collection).find(query),
      attributes: attributes.get.bind(attributes),
    };
    for (const declaration of declarations) this.declare(declaration);
  }

  declare(declaration: Declaration): void {
    transaction(this.#database, () =>
      this.#documents.set(declaration.name, new DocumentTable(this.#database, declaration)),
    );
  }

  #table(name: string): DocumentTable {
    const table = this.#documents.get(name);
    if (table === undefined) throw new Error(`collection ${name} was never declared`);
    return table;
  }
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

const writeNames = new Set(["put", "remove", "putAttributes", "removeAttributes", "forgetAttributes", "probe"]);

/** Writes that arrived together share one transaction; reads see committed data only. */
export class StoreEngine {
  readonly #live: LiveDatabase<Tables>;
  readonly #declarations = new Map<string, Declaration>();

  constructor(place: DatabasePlace) {
    this.#live = new LiveDatabase(place, (database) => new Tables(database, this.#declarations.values()));
  }

  handle(requests: readonly Request[]): void {
    for (const request of requests)
      if (request.op === "declare") this.#answer(request, () => this.#declare(request.arg as Declaration));
    const writes = requests.filter(({ op }) => writeNames.has(op));
    if (writes.length > 0) this.#commit(writes);
    for (const request of requests) {
      if (request.op === "close") this.#answer(request, () => this.#live.close());
      else if (request.op !== "declare" && !writeNames.has(request.op))
        this.#answer(request, () => this.#read(request));
    }
  }

  #read({ op, arg }: Request): unknown {
    return this.#live.read(({ reads }) => {
      const run = reads[op];
      if (run === undefined) throw new Error(`there is no operation ${op}`);
      return run(arg as never);
    });
  }

  #declare(declaration: Declaration): void {
    this.#live.write((tables) => tables.declare(declaration));
    this.#declarations.set(declaration.name, declaration);
  }

  #commit(writes: readonly Request[]): void {
    const begun = performance.now();
    let outcomes: Outcome[];
    try {
      outcomes = this.#live.write((tables, database) => writeAll(tables, database, writes));
    } catch (error) {
      for (const request of writes) request.fail(error);
      return;
    }
    const commit = { seconds: (performance.now() - begun) / 1000, writes: writes.length };
    for (const [at, request] of writes.entries()) {
      const outcome = outcomes[at] as Outcome;
      if ("error" in outcome) request.fail(outcome.error);
      else request.reply((at === 0 ? { value: outcome.value, commit } : { value: outcome.value }) satisfies Written);
    }
  }

  #answer(request: Request, run: () => unknown): void {
    try {
      request.reply(run());
    } catch (error) {
      request.fail(error);
    }
  }
}

function writeAll(tables: Tables, database: Database, writes: readonly Request[]): Outcome[] {
  let durable = false;
  try {
    const outcomes = transaction(database, () => {
      const done = writes.map((request) => writeOne(tables, database, request));
      tables.attributes.storeVersion();
      return done;
    });
    durable = true;
    return outcomes;
  } finally {
    tables.attributes.settled(durable);
  }
}

/**
 * A failing write does not fail its neighbours: each is all or nothing by a savepoint. A failing disk has undone the
 * transaction already and fails them all.
 */
function writeOne(tables: Tables, database: Database, { op, arg }: Request): Outcome {
  database.exec("SAVEPOINT one");
  try {
    const value = tables.writes[op]?.(arg as never);
    database.exec("RELEASE one");
    return { value };
  } catch (error) {
    if (classify(error) !== "defect") throw error;
    database.exec("ROLLBACK TO one; RELEASE one");
    return { error };
  }
}
