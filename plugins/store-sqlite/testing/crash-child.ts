import type { Log } from "@heddle/plugin-sdk";
import { SqliteAttributes } from "../src/sqlite-attributes.ts";
import { SqliteEntities } from "../src/sqlite-entities.ts";
import { StoreFile } from "../src/store-file.ts";

/** Writes documents and attributes until it is killed; prints each number once both are acknowledged. */
const log: Log = { child: () => log, debug() {}, info() {}, warn() {}, error: console.error };
const world = { elapsed: () => performance.now(), timer: () => ({ [Symbol.dispose]() {} }) };
const metric = { record: () => undefined };
const metrics = { commitSeconds: metric, batchWrites: metric, waitingCalls: metric };
const [file = "", first = "0"] = process.argv.slice(2);
const shared = new StoreFile({ file, maxCalls: 100, cacheBytes: 1000 }, { world, log, metrics });
const docs = new SqliteEntities(shared).collection<{ id: string; n: number }>({
  name: "crash",
  id: "id",
  indexes: [["n"]],
});
const attributes = new SqliteAttributes(shared);
await shared.start(new AbortController().signal);
const call = { signal: new AbortController().signal };
const entity = { entityType: "DEVICE", id: "crash" };
for (let n = Number(first); ; n++) {
  await Promise.all([
    docs.put([{ value: { id: `d${n}`, n }, expect: "absent" }], call),
    attributes.put({ entity, scope: "SERVER_SCOPE", values: { n }, ts: n }, call),
  ]);
  process.stdout.write(`${n}\n`);
}
