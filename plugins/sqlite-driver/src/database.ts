import { closeSync, fdatasyncSync, fstatSync, fsyncSync, mkdirSync, openSync, readSync, writeSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { dirname, resolve } from "node:path";

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

export interface DatabaseSettings {
  readonly cacheBytes?: number;
  /** Pages of the log before a commit moves them into the file. */
  readonly checkpointPages?: number;
  /** Pages the file may have; 0 for no bound. */
  readonly maxPages?: number;
}

/** Where a database lies. */
export interface DatabasePlace {
  /** The database, locked for this process, with all of its log durable; `locked` when another process has it. */
  open(): Database;
  /** Makes the log that is on the disk durable, or throws; also while the database is open, between its transactions. */
  renewLog(): void;
}

/** A prepared statement does not keep its database alive in the fallback driver: collecting it crashes the process. */
const held = new Set<Database>();

const require = createRequire(import.meta.url);

/** A database in a file; its folder is made. */
export function filePlace(file: string, settings: DatabaseSettings = {}): DatabasePlace {
  const renewLog = () => renewFile(`${file}-wal`);
  return {
    open() {
      makeFolder(dirname(resolve(file)));
      const driver = isBuiltin("node:sqlite") ? "node:sqlite" : "@photostructure/sqlite";
      const { DatabaseSync } = require(driver) as { DatabaseSync: new (path: string) => Database };
      const database = new DatabaseSync(file);
      held.add(database);
      try {
        configure(database, settings);
        renewLog();
      } catch (error) {
        closeDatabase(database);
        throw error;
      }
      return database;
    },
    renewLog,
  };
}

/** For this process alone: WAL, every commit synced (NORMAL would lose acknowledged writes on power loss). */
export function configure(database: Database, settings: DatabaseSettings): void {
  const { cacheBytes = 16 * 1024 * 1024, checkpointPages = 4000, maxPages = 0 } = settings;
  database.exec(`PRAGMA busy_timeout = 1000; PRAGMA page_size = ${pageBytes}; PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${checkpointPages};
    PRAGMA temp_store = MEMORY; PRAGMA cache_size = -${Math.ceil(cacheBytes / 1024)}; BEGIN IMMEDIATE; COMMIT`);
  if (maxPages > 0) database.exec(`PRAGMA max_page_count = ${maxPages}`);
}

export const pageBytes = 4096;

export function closeDatabase(database: Database): void {
  database.close();
  held.delete(database);
}

/** A folder is durable when the one above it is synced. */
function makeFolder(folder: string): void {
  const first = mkdirSync(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) {
    const above = openSync(dirname(made), "r");
    try {
      fsyncSync(above);
    } finally {
      closeSync(above);
    }
  }
}

function renewFile(path: string): void {
  let handle: number;
  try {
    handle = openSync(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  try {
    renewBytes({
      size: () => fstatSync(handle).size,
      read: (into, offset) => readSync(handle, into, 0, into.length, offset),
      write: (bytes, offset) => {
        for (let done = 0; done < bytes.length; )
          done += writeSync(handle, bytes, done, bytes.length - done, offset + done);
      },
      datasync: () => fdatasyncSync(handle),
    });
  } finally {
    closeSync(handle);
  }
}

interface RenewableFile {
  size(): number;
  read(into: Uint8Array, offset: number): number;
  write(bytes: Uint8Array, offset: number): void;
  datasync(): void;
}

/**
 * Writes a file over itself and syncs it. After a sync that failed, also one of an earlier process, the system takes the
 * file's pages for clean: readers see bytes that no later sync would bring to the disk.
 */
export function renewBytes(file: RenewableFile): void {
  const part = new Uint8Array(1 << 20);
  const size = file.size();
  for (let at = 0; at < size; ) {
    const got = file.read(part.subarray(0, Math.min(part.length, size - at)), at);
    if (got === 0) break;
    file.write(part.subarray(0, got), at);
    at += got;
  }
  file.datasync();
}

const busy = 5;
const ioError = 10;
const full = 13;
const cannotOpen = 14;

/** True for a disk that fails, as opposed to one that is full. */
export const isDiskFailure = (error: unknown): boolean => classify(error) === "disk" && primaryCode(error) !== full;

const primaryCode = (error: unknown): number => {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : 0;
};

/** What an error of the driver or of the file system means: another owner, no room or a failing disk, or a defect. */
export function classify(error: unknown): "locked" | "disk" | "defect" {
  const primary = primaryCode(error);
  const text = String((error as Error).message);
  if (primary === busy || /database is locked/.test(text)) return "locked";
  if ([ioError, full, cannotOpen].includes(primary) || /disk|unable to open/.test(text)) return "disk";
  if ((error as { syscall?: unknown }).syscall !== undefined) return "disk";
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
