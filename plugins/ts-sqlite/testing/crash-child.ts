import type { Log, World } from "@heddle/plugin-sdk";
import { SqliteTimeseries } from "../src/sqlite-timeseries.ts";

/** Appends ever newer points of three series until it is killed; prints each ts once it is acknowledged. */
const log: Log = { child: () => log, debug() {}, info() {}, warn() {}, error: console.error };
const world: World = {
  now: Date.now,
  elapsed: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  timer(ms, run) {
    const timer = setTimeout(run, ms);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  random: Math.random,
  uuid: () => crypto.randomUUID(),
};
const metric = { record: () => undefined };
const metrics = { commitSeconds: metric, batchPoints: metric, pendingBytes: metric };
const [file = "", first = "0"] = process.argv.slice(2);
const config = {
  file,
  batchBytes: 1 << 20,
  pendingBytes: 1 << 24,
  maxCalls: 100,
  series: 1000,
  tidyMs: 50,
  commitInterval: 0,
  logPoints: 300,
};
const store = new SqliteTimeseries(config, { world, log, metrics });
await store.start(new AbortController().signal);
const call = { signal: new AbortController().signal };
for (let ts = Number(first); ; ts++) {
  const values = { a: ts, b: ts / 8, c: `text ${ts}` };
  await store.append([{ entity: { entityType: "DEVICE", id: "crash" }, ts, values }], call);
  process.stdout.write(`${ts}\n`);
}
