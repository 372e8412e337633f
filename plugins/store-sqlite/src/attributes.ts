import type { Database, SqlValue } from "@heddle/sqlite-driver/worker";
import type { AttributeKeys, AttributeOwner, AttributePut, AttributeRemoval, StoredAttribute } from "./protocol.ts";

const schema = `
  CREATE TABLE IF NOT EXISTS attribute (
    entity_id TEXT NOT NULL, entity_type TEXT NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL,
    kind INTEGER NOT NULL, value, last_update_ts INTEGER NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (entity_id, entity_type, scope, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS attribute_version (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL);
  INSERT OR IGNORE INTO attribute_version VALUES (1, 0);
`;
const owner = "entity_id = ? AND entity_type = ? AND scope = ?";
const columns = "key, kind, value, last_update_ts AS ts";

interface AttributeRow {
  readonly key: string;
  readonly kind: number;
  readonly value: SqlValue;
  readonly ts: number;
}

/** One sequence numbers the writes of all entities: it grows for each of them, also through removals. */
export class AttributeTable {
  readonly #sql: ReturnType<typeof statements>;
  #version: number;
  #stored: number;

  constructor(database: Database) {
    database.exec(schema);
    this.#sql = statements(database);
    this.#version = (this.#sql.lastVersion.get() as { last: number }).last;
    this.#stored = this.#version;
  }

  get({ type, id, scope, keys }: AttributeKeys): StoredAttribute[] {
    const rows = (
      keys === "all"
        ? this.#sql.all.all(id, type, scope)
        : [...new Set(keys)].map((key) => this.#sql.one.get(id, type, scope, key)).filter((row) => row !== undefined)
    ) as AttributeRow[];
    return rows.map(({ key, kind, value, ts }) => [key, kind, value, ts]);
  }

  put({ type, id, scope, ts, values }: AttributePut): number {
    const version = ++this.#version;
    for (let at = 0; at < values.length; at += 3) {
      const [key = null, kind = null, value = null] = values.slice(at, at + 3);
      this.#sql.put.run(id, type, scope, key, kind, value, ts, version);
    }
    return version;
  }

  remove({ type, id, scope, keys }: AttributeOwner & { keys: readonly string[] }): AttributeRemoval {
    const version = ++this.#version;
    const removed = keys.filter((key) => Number(this.#sql.remove.run(id, type, scope, key).changes) > 0);
    return { removed, version };
  }

  forget(entities: readonly Omit<AttributeOwner, "scope">[]): void {
    for (const { type, id } of entities) this.#sql.forget.run(id, type);
  }

  /** A write that changes nothing and needs the disk like any other. */
  touch(): void {
    this.#sql.storeVersion.run(this.#stored);
  }

  /** The last statement of a transaction that wrote. */
  storeVersion(): void {
    if (this.#version !== this.#stored) this.#sql.storeVersion.run(this.#version);
  }

  /** The transaction is durable or undone; numbers of an undone one are never given again in this process. */
  settled(durable: boolean): void {
    if (durable) this.#stored = this.#version;
  }
}

const statements = (database: Database) => ({
  one: database.prepare(`SELECT ${columns} FROM attribute WHERE ${owner} AND key = ?`),
  all: database.prepare(`SELECT ${columns} FROM attribute WHERE ${owner} ORDER BY key`),
  put: database.prepare(`INSERT INTO attribute VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    kind = excluded.kind, value = excluded.value, last_update_ts = excluded.last_update_ts, version = excluded.version`),
  remove: database.prepare(`DELETE FROM attribute WHERE ${owner} AND key = ?`),
  forget: database.prepare("DELETE FROM attribute WHERE entity_id = ? AND entity_type = ?"),
  lastVersion: database.prepare("SELECT last FROM attribute_version"),
  storeVersion: database.prepare("UPDATE attribute_version SET last = ?"),
});
