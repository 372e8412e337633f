import { mkdirSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname } from "node:path";

export type SqlValue = null | number | bigint | string | Uint8Array;
export type Row = Record<string, SqlValue>;

/** The part of node:sqlite's API that the stores use. */
export interface Statement {
  run(...values: SqlValue[]): { readonly changes: number | bigint; readonly lastInsertRowid: number | bigint };
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
}

export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  function(name: string, options: { readonly deterministic: boolean }, run: (value: SqlValue) => SqlValue): void;
  close(): void;
}

/** A prepared statement does not keep its database alive in the fallback driver: collecting it crashes the process. */
const held = new Set<Database>();

/**
 * Opens the file for this process alone: WAL, every commit synced (NORMAL would lose acknowledged writes on power
 * loss). Throws `locked` when another process has it.
 */
export async function openDatabase(file: string, cacheBytes = 16 * 1024 * 1024): Promise<Database> {
  mkdirSync(dirname(file), { recursive: true });
  const driver = isBuiltin("node:sqlite") ? "node:sqlite" : "@photostructure/sqlite";
  const { DatabaseSync } = (await import(driver)) as { DatabaseSync: new (path: string) => Database };
  const database = new DatabaseSync(file);
  held.add(database);
  try {
    database.exec(`PRAGMA busy_timeout = 1000; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY;
      PRAGMA cache_size = -${Math.ceil(cacheBytes / 1024)}; BEGIN IMMEDIATE; COMMIT`);
  } catch (error) {
    closeDatabase(database);
    throw error;
  }
  return database;
}

export function closeDatabase(database: Database): void {
  database.close();
  held.delete(database);
}

const busy = 5;
const ioError = 10;
const full = 13;
const cannotOpen = 14;

/** What an error of the driver means: another owner, no room or a failing disk, or a defect. */
export function classify(error: unknown): "locked" | "disk" | "defect" {
  const code = ((error as { errcode?: unknown; code?: unknown }).errcode ?? 0) as number;
  const primary = code & 0xff;
  const text = String((error as Error).message);
  if (primary === busy || /database is locked/.test(text)) return "locked";
  if ([ioError, full, cannotOpen].includes(primary) || /disk|unable to open/.test(text)) return "disk";
  return "defect";
}

/** Runs `work` as one transaction; a throw of it or of the commit leaves nothing behind. */
export function transaction<T>(database: Database, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    try {
      database.exec("ROLLBACK");
    } catch {
      // A full disk has rolled back by itself; the first error is the one that tells.
    }
    throw error;
  }
}
