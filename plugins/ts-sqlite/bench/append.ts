/*
 * The append path: samples of three keys from many devices, commits synced. Prints rates, CPU of the main thread and of
 * the whole process, bytes at rest and the time of a second start.
 * node --conditions=source --import tsx plugins/ts-sqlite/bench/append.ts [seconds] [devices]
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { Sample, World } from "@heddle/plugin-sdk";
import { SqliteTimeseries } from "../src/sqlite-timeseries.ts";

const seconds = Number(process.argv[2] ?? 5);
const devices = Number(process.argv[3] ?? 1000);
const folder = mkdtempSync(join(tmpdir(), "heddle-bench-"));
const file = join(folder, "timeseries.db");
const config = {
  file,
  batchBytes: 2 * 1024 ** 2,
  pendingBytes: 64 * 1024 ** 2,
  maxCalls: 1000,
  logPoints: 300_000,
  series: 1_000_000,
  tidyMs: 1000,
  commitInterval: 0,
};
const world: World = {
  now: Date.now,
  elapsed: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  timer(ms, run) {
    const timer = setTimeout(run, ms).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  random: Math.random,
  uuid: () => crypto.randomUUID(),
};
const say = () => undefined;
const log = { child: () => log, debug: say, info: say, warn: say, error: console.error };
const batches: number[] = [];
const commits: number[] = [];
const metrics = {
  commitSeconds: { record: (value: number) => commits.push(value) },
  batchPoints: { record: (value: number) => batches.push(value) },
  pendingBytes: { record: say },
};
const open = async () => {
  const begun = performance.now();
  const store = new SqliteTimeseries(config, { world, log, metrics });
  await store.start(new AbortController().signal);
  return { store, readyMs: performance.now() - begun };
};

const { store, readyMs } = await open();
const call = { signal: new AbortController().signal };
const ids = Array.from({ length: devices }, () => ({ entityType: "DEVICE", id: crypto.randomUUID() }));
let samples = 0;
const start = performance.now();
const cpu = process.cpuUsage();
const idle = performance.eventLoopUtilization();
let appending = 0;
let ts = Date.now();
while (performance.now() - start < seconds * 1000) {
  // A turn of the loop brings some samples of some sockets; at most a few batches are in flight.
  let last: Promise<void> | undefined;
  const made: Sample[] = [];
  for (let at = 0; at < 500; at++) {
    const device = samples++ % devices;
    if (device === 0) ts += 1000;
    const jitter = (samples * 7919) % 40;
    const values = {
      temperature: 20 + ((samples * 31) % 800) / 100,
      humidity: 40 + (samples % 25),
      open: samples % 7 === 0,
    };
    made.push({ entity: ids[device] as (typeof ids)[0], ts: ts + jitter, values });
  }
  const begun = performance.now();
  for (const sample of made) last = store.append([sample], call);
  appending += performance.now() - begun;
  await last;
}
const took = (performance.now() - start) / 1000;
const used = process.cpuUsage(cpu);
const busy = performance.eventLoopUtilization(idle);
const perSample = (us: number) => (us / samples).toFixed(2);
console.log(`ready ${readyMs.toFixed(0)} ms; ${devices} devices, ${samples} samples of 3 keys in ${took.toFixed(1)} s`);
console.log(
  `${Math.round(samples / took)} samples/s, ${commits.length} commits, ${Math.round(samples / commits.length)} samples each`,
);
console.log(
  `append call ${perSample(appending * 1000)} us/sample; main loop active ${perSample(busy.active * 1000)} us/sample`,
);
console.log(`process CPU, all threads, ${perSample(used.user + used.system)} us/sample (the load itself included)`);
commits.sort((a, b) => a - b);
const part = (share: number) => ((commits[Math.floor(commits.length * share)] ?? 0) * 1000).toFixed(1);
console.log(
  `commit ms: median ${part(0.5)}, p99 ${part(0.99)}, worst ${part(0.9999)}; RSS ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`,
);
await store[Symbol.asyncDispose]();
console.log(`file ${(statSync(file).size / samples / 3).toFixed(2)} bytes/point with the log`);
const second = await open();
console.log(`second start ${second.readyMs.toFixed(0)} ms`);
const begun = performance.now();
let read = 0;
const query = {
  entity: ids[0] as (typeof ids)[0],
  keys: ["temperature"],
  from: 0,
  to: ts * 2,
  limit: 1e9,
  order: "asc" as const,
};
for await (const page of second.store.range(query, call)) read += page.length;
console.log(`range read ${read} points in ${(performance.now() - begun).toFixed(1)} ms`);
await second.store[Symbol.asyncDispose]();
rmSync(folder, { recursive: true });
