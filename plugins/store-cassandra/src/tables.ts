import type { SchemaPlan, Statement } from "@heddle/cassandra-driver";

/**
 * One set of tables for all collections: many nodes that make tables at run time would disagree about them.
 *
 * `documents` is what is true; every change of a row is conditional on its `stamp`. `past` holds the stamps before, so
 * that a writer whose answer was lost can tell whether its write happened. A removed document stays for a day without a
 * body, so that a document that comes again goes on with greater stamps.
 * `index_entries` lists each document in a partition for each prefix of each index, body included; see `entries.ts`.
 * `claims` has one row for each claimed value; see `claims.ts`.
 */
export const schema: SchemaPlan = {
  component: "entities",
  steps: [
    [
      `CREATE TABLE IF NOT EXISTS $ks.documents (collection text, id text, version int, body text, stamp bigint,
        past frozen<list<bigint>>, PRIMARY KEY ((collection, id)))`,
      `CREATE TABLE IF NOT EXISTS $ks.index_entries (collection text, fields text, value text, shard int, id text,
        pending boolean, version int, body text, stamp bigint,
        PRIMARY KEY ((collection, fields, value, shard), id))`,
      `CREATE TABLE IF NOT EXISTS $ks.claims (collection text, fields text, value text, owner text, stamp bigint,
        PRIMARY KEY ((collection, fields, value)))`,
      `CREATE TABLE IF NOT EXISTS $ks.built_indexes (collection text, fields text, PRIMARY KEY ((collection), fields))`,
      `CREATE TABLE IF NOT EXISTS $ks.attributes (entity_type text, entity_id text, scope text, key text,
        version bigint static, writer text static, value blob, last_update_ts bigint,
        PRIMARY KEY ((entity_type, entity_id), scope, key))`,
    ],
  ],
};

const statement = (purpose: string, cql: string): Statement => ({ purpose, cql });
const document = "collection = ? AND id = ?";
const partition = "collection = ? AND fields = ? AND value = ? AND shard = ?";
const claim = "collection = ? AND fields = ? AND value = ?";
/** How long the trace of a removed document stays: longer than any two clocks differ. */
const removedSeconds = 86_400;

export const sql = {
  readDocument: statement("read a document", `SELECT version, body, stamp, past FROM documents WHERE ${document}`),
  writeDocument: statement(
    "write a document",
    `UPDATE documents SET version = ?, body = ?, stamp = ?, past = ? WHERE ${document} IF stamp = ?`,
  ),
  removeDocument: statement(
    "remove a document",
    `UPDATE documents USING TTL ${removedSeconds} SET version = ?, body = ?, stamp = ?, past = ? WHERE ${document} IF stamp = ?`,
  ),
  markEntry: statement(
    "mark an index entry",
    "INSERT INTO index_entries (collection, fields, value, shard, id, pending, stamp) VALUES (?, ?, ?, ?, ?, true, ?) USING TIMESTAMP ?",
  ),
  settleEntry: statement(
    "write an index entry",
    "INSERT INTO index_entries (collection, fields, value, shard, id, pending, version, body, stamp) " +
      "VALUES (?, ?, ?, ?, ?, false, ?, ?, ?) USING TIMESTAMP ?",
  ),
  dropEntry: statement(
    "remove an index entry",
    `DELETE FROM index_entries USING TIMESTAMP ? WHERE ${partition} AND id = ?`,
  ),
  readEntries: statement(
    "find documents",
    `SELECT id, pending, version, body, stamp FROM index_entries WHERE ${partition}`,
  ),
  readClaim: statement("read a claim", `SELECT owner, stamp FROM claims WHERE ${claim}`),
  putClaim: statement(
    "claim a value",
    "INSERT INTO claims (collection, fields, value, owner, stamp) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS",
  ),
  takeClaim: statement(
    "claim a value",
    `UPDATE claims SET owner = ?, stamp = ? WHERE ${claim} IF owner = ? AND stamp = ?`,
  ),
  dropClaim: statement("release a claim", `DELETE FROM claims WHERE ${claim} IF owner = ? AND stamp <= ?`),
  builtIndexes: statement("read the list of indexes", "SELECT fields FROM built_indexes WHERE collection = ?"),
  putBuiltIndex: statement("write the list of indexes", "INSERT INTO built_indexes (collection, fields) VALUES (?, ?)"),
  attributeVersion: statement(
    "read the version of attributes",
    "SELECT version, writer FROM attributes WHERE entity_type = ? AND entity_id = ? LIMIT 1",
  ),
  attributeKeys: statement(
    "read attributes",
    "SELECT version, scope, key FROM attributes WHERE entity_type = ? AND entity_id = ?",
  ),
  allAttributes: statement(
    "read attributes",
    "SELECT key, value, last_update_ts FROM attributes WHERE entity_type = ? AND entity_id = ? AND scope = ?",
  ),
  someAttributes: statement(
    "read attributes",
    "SELECT key, value, last_update_ts FROM attributes WHERE entity_type = ? AND entity_id = ? AND scope = ? AND key IN ?",
  ),
  nextVersion: statement(
    "write attributes",
    "UPDATE attributes USING TTL ? SET version = ?, writer = ? WHERE entity_type = ? AND entity_id = ? IF version = ?",
  ),
  putAttribute: statement(
    "write attributes",
    "INSERT INTO attributes (entity_type, entity_id, scope, key, value, last_update_ts) VALUES (?, ?, ?, ?, ?, ?)",
  ),
  dropAttribute: statement(
    "remove attributes",
    "DELETE FROM attributes WHERE entity_type = ? AND entity_id = ? AND scope = ? AND key = ?",
  ),
};
