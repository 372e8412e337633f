import { ModelledDisk } from "@heddle/plugin-sdk/testing";
import init, {
  type PreparedStatement,
  type Sqlite3Static,
  type Database as WasmDatabase,
} from "@sqlite.org/sqlite-wasm";
import type { Database, DatabasePlace, DatabaseSettings, SqlValue, Statement } from "../src/database.ts";
import { closeDatabase, configure, renewBytes } from "../src/database.ts";
import { installFileLayer, layerName, type Mount, mountOf } from "./modelled-file-layer.ts";

const file = "store.db";
const silent = () => undefined;

let loading: Promise<{ readonly sqlite: Sqlite3Static; readonly mount: Mount }> | undefined;

async function load() {
  const sqlite = await init();
  // Failing calls are what the tests are about: each of them would be a line on the console.
  Object.assign(sqlite.config, { log: silent, warn: silent, error: silent, debug: silent });
  const mount = mountOf(new ModelledDisk(), 1);
  installFileLayer(sqlite, mount);
  return { sqlite, mount };
}

/**
 * SQLite compiled to WebAssembly, with its files on a modelled disk: the stores' own SQL meets power cuts, failing syncs
 * and full disks. One disk at a time is mounted.
 */
export async function modelledSqlite(): Promise<{ mount(disk: ModelledDisk, seed: number): void; place: PlaceMaker }> {
  loading ??= load();
  const { sqlite, mount } = await loading;
  return {
    mount: (disk, seed) => Object.assign(mount, mountOf(disk, seed)),
    place: (settings = {}, renews = true) => ({
      open: () => {
        const database = opened(sqlite);
        try {
          configure(database, settings);
          if (renews) renewLog(mount.disk);
        } catch (error) {
          closeDatabase(database);
          throw error;
        }
        return database;
      },
      renewLog: () => (renews ? renewLog(mount.disk) : undefined),
    }),
  };
}

/** Without `renews` the log is believed as it is read: the bug that renewing it prevents. */
type PlaceMaker = (settings?: DatabaseSettings, renews?: boolean) => DatabasePlace;

function renewLog({ sync }: ModelledDisk): void {
  const log = `${file}-wal`;
  if (sync.exists(log)) renewBytes(sync.open(log));
}

function opened(sqlite: Sqlite3Static): Database {
  const database = translating(() => new sqlite.oo1.DB({ filename: file, flags: "c", vfs: layerName }));
  return {
    exec: (sql) => void translating(() => database.exec(sql)),
    prepare: (sql) => statement(sqlite, { database, prepared: translating(() => database.prepare(sql)) }),
    function: (name, { deterministic }, run) => {
      const call = (_context: unknown, value: SqlValue) => run(value);
      database.createFunction(name, { xFunc: call as never, arity: 1, deterministic });
    },
    close: () => database.close(),
  };
}

function statement(
  { capi }: Sqlite3Static,
  { database, prepared }: { readonly database: WasmDatabase; readonly prepared: PreparedStatement },
): Statement {
  const bind = (values: readonly SqlValue[]) => {
    for (const [at, value] of values.entries()) {
      // Larger ones are doubles, as in the drivers of Node.
      if (typeof value === "number" && (value | 0) !== value) capi.sqlite3_bind_double(prepared, at + 1, value);
      else prepared.bind(at + 1, value as never);
    }
  };
  const using = <T>(values: readonly SqlValue[], work: () => T): T =>
    translating(() => {
      try {
        bind(values);
        return work();
      } finally {
        prepared.reset(true);
      }
    });
  return {
    run: (...values) =>
      using(values, () => {
        prepared.step();
        return { changes: database.changes(), lastInsertRowid: capi.sqlite3_last_insert_rowid(database) };
      }),
    get: (...values) => using(values, () => (prepared.step() ? prepared.get({}) : undefined)),
    all: (...values) =>
      using(values, () => {
        const rows: unknown[] = [];
        while (prepared.step()) rows.push(prepared.get({}));
        return rows;
      }),
  };
}

/** Errors as Node's driver throws them. */
function translating<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const errcode = (error as { resultCode?: number }).resultCode;
    throw errcode === undefined ? error : Object.assign(new Error((error as Error).message), { errcode });
  }
}

/** What is wrong inside the file, or why it cannot be told; undefined when all is well. */
export function brokenInside(database: Database): string | undefined {
  try {
    const { integrity_check: found } = database.prepare("PRAGMA integrity_check").get() as { integrity_check: string };
    return found === "ok" ? undefined : `integrity: ${found}`;
  } catch (error) {
    return `integrity: ${(error as Error).message}`;
  }
}
