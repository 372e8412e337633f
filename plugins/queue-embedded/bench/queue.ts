/*
 * Prints what the embedded queue does on this machine:
 *   node --conditions=source --import tsx plugins/queue-embedded/bench/queue.ts [seconds] [recordsPerSend]
 * 2000 sends of 200-byte records are in flight over 128 partitions; one group reads and settles all of them.
 */

import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log, World } from "@heddle/plugin-sdk";
import { openDirectory } from "../src/disk.ts";
import { type OpenQueue, openQueue } from "../src/open-queue.ts";

const seconds = Number(process.argv[2] ?? 5);
const perSend = Number(process.argv[3] ?? 1);
const inFlight = 2_000;
const partitions = 128;
const MB = 1024 * 1024;
const limits = {
  segmentBytes: 64 * MB,
  tailBytes: 64 * MB,
  pendingBytes: 32 * MB,
  recordBytes: MB,
  positionDelayMs: 100,
};
const signal = new AbortController().signal;
const body = new Uint8Array(200).fill(7);
const keys = Array.from({ length: 4_096 }, (_, i) => `3f8e5b3c-7a49-4a0e-9d51-0000000${String(i).padStart(5, "0")}`);

const log: Log = { child: () => log, debug() {}, info() {}, warn: console.warn, error: console.error };
const world: World = {
  now: Date.now,
  elapsed: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  timer: (ms, run) => {
    const handle = setTimeout(run, ms);
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  },
  random: Math.random,
  uuid: randomUUID,
};

function open(dir: string, count: { commits: number; records: number }): Promise<OpenQueue> {
  const meter = {
    commit: (_seconds: number, records: number) => {
      count.commits += records > 0 ? 1 : 0;
      count.records += records;
    },
    sizes() {},
  };
  const parts = { world, log, limits, meter };
  return openDirectory(dir).then((disk) => openQueue({ ...parts, disk }, signal));
}

async function send(queue: OpenQueue, until: number): Promise<void> {
  let next = 0;
  const sender = async () => {
    while (performance.now() < until) {
      const records = Array.from({ length: perSend }, () => {
        const n = next++;
        return { partition: n % partitions, key: keys[n % keys.length] as string, body };
      });
      await queue.send("load", records, { signal });
    }
  };
  await Promise.all(Array.from({ length: Math.ceil(inFlight / perSend) }, sender));
}

async function consume(queue: OpenQueue, count: { read: number }, stop: AbortSignal): Promise<void> {
  await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      await using reader = queue.reader({ topic: "load", group: "all", partition });
      try {
        for (;;) {
          const batch = await reader.read(512, { signal: stop });
          count.read += batch.records.length;
          await batch.settle(batch.records.length, { signal });
        }
      } catch (error) {
        if (!stop.aborted) throw error;
      }
    }),
  );
}

async function measure(withReaders: boolean): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "queue-bench-"));
  try {
    const count = { commits: 0, records: 0, read: 0 };
    const queue = await open(dir, count);
    await queue.ensure([{ name: "load", partitions, retainMs: 3_600_000 }], { signal });
    const stop = new AbortController();
    const reading = withReaders ? consume(queue, count, stop.signal) : Promise.resolve();
    const before = process.cpuUsage();
    const started = performance.now();
    await send(queue, started + seconds * 1_000);
    const took = (performance.now() - started) / 1_000;
    const { user, system } = process.cpuUsage(before);
    const loop = performance.eventLoopUtilization();
    stop.abort();
    await reading;
    const rate = (n: number) => Math.round(n / took).toLocaleString("en");
    console.log(
      `${withReaders ? "send, read, settle" : "send"}: ${rate(count.records)} records/s, ${rate(count.commits)} commits/s`,
    );
    console.log(
      `  process CPU ${((user + system) / count.records).toFixed(2)} us per record (user ${(user / count.records).toFixed(2)}), loop ${loop.utilization.toFixed(2)}`,
    );
    if (withReaders) console.log(`  read ${count.read.toLocaleString("en")} of ${count.records.toLocaleString("en")}`);
    console.log(`  rss ${Math.round(process.memoryUsage().rss / MB)} MB`);
    await queue.close();
    const reopened = performance.now();
    const again = await open(dir, { commits: 0, records: 0 });
    console.log(`  reopened in ${Math.round(performance.now() - reopened)} ms`);
    await again.close();
  } finally {
    await rm(dir, { recursive: true });
  }
}

await measure(false);
await measure(true);
