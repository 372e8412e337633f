import type {
  Attribute,
  AttributeStore,
  CallOptions,
  Collection,
  CollectionSpec,
  EntityId,
  EntityStore,
  Page,
  Plain,
  Query,
  RangeQuery,
  RemoveQuery,
  Sample,
  Scope,
  Stored,
  TimeseriesStore,
  WindowPoint,
} from "@heddle/plugin-sdk";
import type { Service } from "./answerer.ts";
import type { Caller } from "./caller.ts";
import { unknownMethod } from "./queue-wire.ts";

/** Pages of a range that may be on their way beyond the one that is being read. */
const pagesAhead = 2;

/** What a proxy of a store makes its calls with. */
type Ask = (method: string, args: readonly unknown[], call: CallOptions) => Promise<any>;

const asker =
  (caller: Caller, service: number): Ask =>
  (method, args, call) =>
    caller.call(service, method, args as readonly Plain[], call);

export class EntityService implements Service {
  readonly #store: EntityStore;
  readonly #collections = new Map<string, Collection<any>>();

  constructor(store: EntityStore) {
    this.#store = store;
  }

  serve(method: string, [spec, what]: readonly any[], call: CallOptions): unknown {
    const collection = this.#collection(spec);
    switch (method) {
      case "get":
        return collection.get(what, call);
      case "find":
        return collection.find(what, call);
      case "put":
        return collection.put(what, call);
      case "remove":
        return collection.remove(what, call);
      default:
        throw unknownMethod("entities", method);
    }
  }

  #collection(spec: CollectionSpec<any>): Collection<any> {
    let known = this.#collections.get(spec.name);
    if (known === undefined) {
      known = this.#store.collection(spec);
      this.#collections.set(spec.name, known);
    }
    return known;
  }
}

export class RemoteEntities implements EntityStore {
  readonly #ask: Ask;

  constructor(caller: Caller, service: number) {
    this.#ask = asker(caller, service);
  }

  collection<T extends object>(spec: CollectionSpec<T>): Collection<T> {
    const ask = this.#ask;
    return {
      get: async (ids, call) => {
        const found: (Stored<T> | null)[] = await ask("get", [spec, ids], call);
        return found.map((one) => one ?? undefined);
      },
      find: (query: Query, call): Promise<Page<T>> => ask("find", [spec, query], call),
      put: (items, call): Promise<Stored<T>[]> => ask("put", [spec, items], call),
      remove: (ids, call): Promise<number> => ask("remove", [spec, ids], call),
    };
  }
}

export class AttributeService implements Service {
  readonly #store: AttributeStore;

  constructor(store: AttributeStore) {
    this.#store = store;
  }

  serve(method: string, args: readonly any[], call: CallOptions): unknown {
    switch (method) {
      case "get":
        return this.#store.get(args[0], args[1], args[2], call);
      case "put":
        return this.#store.put(args[0], call);
      case "remove":
        return this.#store.remove(args[0], args[1], args[2], call);
      case "forget":
        return this.#store.forget(args[0], call);
      default:
        throw unknownMethod("attributes", method);
    }
  }
}

export class RemoteAttributes implements AttributeStore {
  readonly #ask: Ask;

  constructor(caller: Caller, service: number) {
    this.#ask = asker(caller, service);
  }

  get(entity: EntityId, scope: Scope, keys: readonly string[] | "all", call: CallOptions): Promise<Attribute[]> {
    return this.#ask("get", [entity, scope, keys], call);
  }

  put(...[write, call]: Parameters<AttributeStore["put"]>): Promise<number> {
    return this.#ask("put", [write], call);
  }

  remove(...[entity, scope, keys, call]: Parameters<AttributeStore["remove"]>): ReturnType<AttributeStore["remove"]> {
    return this.#ask("remove", [entity, scope, keys], call);
  }

  async forget(entities: readonly EntityId[], call: CallOptions): Promise<void> {
    await this.#ask("forget", [entities], call);
  }
}

export class TimeseriesService implements Service {
  readonly brief = new Set(["append"]);
  readonly #store: TimeseriesStore;

  constructor(store: TimeseriesStore) {
    this.#store = store;
  }

  serve(method: string, args: readonly any[], { signal }: CallOptions): unknown {
    switch (method) {
      case "append":
        return this.#store.append(args[0], typeof args[1] === "number" ? { signal, ttlMs: args[1] } : { signal });
      case "latest":
        return this.#store.latest(args[0], args[1], { signal });
      case "range":
        return this.#store.range(args[0], { signal });
      case "remove":
        return this.#store.remove(args[0], { signal });
      case "forget":
        return this.#store.forget(args[0], { signal });
      default:
        throw unknownMethod("timeseries", method);
    }
  }
}

export class RemoteTimeseries implements TimeseriesStore {
  readonly #ask: Ask;
  readonly #caller: Caller;
  readonly #service: number;

  constructor(caller: Caller, service: number) {
    this.#ask = asker(caller, service);
    this.#caller = caller;
    this.#service = service;
  }

  async append(samples: readonly Sample[], call: CallOptions & { readonly ttlMs?: number }): Promise<void> {
    await this.#ask("append", [samples, call.ttlMs], call);
  }

  latest(...[entity, keys, call]: Parameters<TimeseriesStore["latest"]>): ReturnType<TimeseriesStore["latest"]> {
    return this.#ask("latest", [entity, keys], call);
  }

  range(query: RangeQuery, { signal }: CallOptions): AsyncIterable<readonly WindowPoint[]> {
    const pages = this.#caller.pages(this.#service, "range", [query as unknown as Plain], {
      signal,
      ahead: pagesAhead,
    });
    return pages as AsyncIterable<any>;
  }

  async remove(query: RemoveQuery, call: CallOptions): Promise<void> {
    await this.#ask("remove", [query], call);
  }

  async forget(entities: readonly EntityId[], call: CallOptions): Promise<void> {
    await this.#ask("forget", [entities], call);
  }
}
