import { type CassandraSession, decodeValue, each } from "@heddle/cassandra-driver";
import type { Attribute, AttributeStore, AttributeWrite, CallOptions, EntityId, Scope } from "@heddle/plugin-sdk";
import { AttributeWriter } from "./attribute-writer.ts";
import { sql } from "./tables.ts";

const pageRows = 1_000;

/** Attributes of an entity in one partition. */
export class CassandraAttributes implements AttributeStore {
  readonly #session: CassandraSession;
  readonly #writer: AttributeWriter;

  constructor(session: CassandraSession) {
    this.#session = session;
    this.#writer = new AttributeWriter(session);
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#session.start(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#session.stop();
  }

  async get(
    entity: EntityId,
    scope: Scope,
    keys: readonly string[] | "all",
    { signal }: CallOptions,
  ): Promise<Attribute[]> {
    signal.throwIfAborted();
    const owner = [entity.entityType, entity.id, scope];
    const statement = keys === "all" ? sql.allAttributes : sql.someAttributes;
    const params = keys === "all" ? owner : [...owner, [...new Set(keys)]];
    const found = new Map<string, Attribute>();
    let state: string | undefined;
    do {
      const result = await this.#session.execute(statement, params, { signal, page: { rows: pageRows, state } });
      for (const { key, value, last_update_ts } of result.rows) {
        // A partition without rows still has its version.
        if (key !== null) found.set(key, { key, value: decodeValue(value), lastUpdateTs: last_update_ts.toNumber() });
      }
      state = result.pageState ?? undefined;
    } while (state !== undefined);
    return keys === "all" ? [...found.values()] : [...new Set(keys)].flatMap((key) => found.get(key) ?? []);
  }

  async put(write: AttributeWrite, { signal }: CallOptions): Promise<number> {
    return (await this.#writer.write(write.entity, { kind: "put", ...write }, signal)).version;
  }

  remove(
    entity: EntityId,
    scope: Scope,
    keys: readonly string[],
    { signal }: CallOptions,
  ): Promise<{ removed: string[]; version: number }> {
    return this.#writer.write(entity, { kind: "remove", scope, keys }, signal);
  }

  async forget(entities: readonly EntityId[], { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    await each(entities, 16, (entity) => this.#writer.write(entity, { kind: "forget" }, signal));
  }
}
