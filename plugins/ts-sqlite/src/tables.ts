import type { Database, Statement } from "@heddle/sqlite-driver/worker";

export const schema = `
  CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY AUTOINCREMENT, entity_type TEXT NOT NULL, entity_id TEXT NOT NULL, key TEXT NOT NULL,
    chunked_seq INTEGER NOT NULL DEFAULT 0, latest_ts REAL, latest_kind INTEGER, latest_value,
    UNIQUE (entity_id, entity_type, key));
  CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY AUTOINCREMENT, ttl INTEGER NOT NULL, body BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS chunk (
    number INTEGER PRIMARY KEY, series INTEGER NOT NULL, start REAL NOT NULL, until REAL NOT NULL,
    count INTEGER NOT NULL, ttl INTEGER NOT NULL, body BLOB NOT NULL);
  CREATE UNIQUE INDEX IF NOT EXISTS chunk_start ON chunk (series, start);
  CREATE INDEX IF NOT EXISTS chunk_expiry ON chunk (until + ttl) WHERE ttl > 0;
  CREATE TABLE IF NOT EXISTS doomed (series INTEGER PRIMARY KEY);
`;

export interface SeriesRow {
  readonly id: number;
  readonly entity_type: string;
  readonly entity_id: string;
  readonly key: string;
  readonly chunked_seq: number;
  readonly latest_ts: number | null;
  readonly latest_kind: number;
  readonly latest_value: number | string;
}

export interface ChunkRow {
  readonly number: number;
  readonly start: number;
  readonly until: number;
  readonly count: number;
  readonly ttl: number;
  readonly body: Uint8Array;
}

const columns = "number, start, until, count, ttl";
/** Chunks of a series do not overlap: the one before a time is the only one that may reach into it. */
const ownerStart = "coalesce((SELECT max(start) FROM chunk WHERE series = ?1 AND start <= ?2), ?2)";

export type Statements = Readonly<Record<keyof typeof sql, Statement>>;

const sql = {
  entitySeries: "SELECT * FROM series WHERE entity_id = ? AND entity_type = ?",
  allSeries: "SELECT * FROM series",
  countSeries: "SELECT count(*) AS count FROM series",
  seriesEntity: "SELECT entity_type, entity_id FROM series WHERE id = ?",
  insertSeries: "INSERT INTO series (entity_type, entity_id, key) VALUES (?, ?, ?)",
  updateSeries: "UPDATE series SET chunked_seq = ?, latest_ts = ?, latest_kind = ?, latest_value = ? WHERE id = ?",
  deleteSeries: "DELETE FROM series WHERE id = ?",
  insertLog: "INSERT INTO log (seq, ttl, body) VALUES (?, ?, ?)",
  pruneLog: "DELETE FROM log WHERE seq < ?",
  logAfter: "SELECT seq, ttl, body FROM log WHERE seq > ? ORDER BY seq LIMIT 64",
  lastSeq: "SELECT seq FROM sqlite_sequence WHERE name = 'log'",
  owners: `SELECT ${columns} FROM chunk WHERE series = ?1 AND start >= ${ownerStart} AND start <= ?3 ORDER BY start`,
  upward: `SELECT ${columns}, body FROM chunk WHERE series = ?1 AND start >= ${ownerStart} AND start < ?3
    ORDER BY start LIMIT ?4`,
  downward: `SELECT ${columns}, body FROM chunk WHERE series = ?1 AND start >= ${ownerStart} AND start < ?3
    ORDER BY start DESC LIMIT ?4`,
  body: "SELECT body FROM chunk WHERE number = ?",
  insertChunk: "INSERT INTO chunk (series, start, until, count, ttl, body) VALUES (?, ?, ?, ?, ?, ?)",
  deleteChunk: "DELETE FROM chunk WHERE number = ?",
  deleteInside: "DELETE FROM chunk WHERE series = ? AND start >= ? AND until < ?",
  lastChunk: "SELECT body FROM chunk WHERE series = ? ORDER BY start DESC LIMIT 1",
  dropExpired: `DELETE FROM chunk WHERE number IN
    (SELECT number FROM chunk WHERE ttl > 0 AND until + ttl <= ? ORDER BY until + ttl LIMIT ?)`,
  doom: "INSERT OR IGNORE INTO doomed (series) VALUES (?)",
  nextDoomed: "SELECT series FROM doomed LIMIT 1",
  dropDoomed: "DELETE FROM chunk WHERE number IN (SELECT number FROM chunk WHERE series = ? LIMIT ?)",
  undoom: "DELETE FROM doomed WHERE series = ?",
};

export function prepareAll(database: Database): Statements {
  return Object.fromEntries(Object.entries(sql).map(([name, text]) => [name, database.prepare(text)])) as Statements;
}
