import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeQueueBackend, realWorld, silentLog, type TestedQueue } from "@heddle/plugin-sdk/testing";
import { afterAll } from "vitest";
import { openDirectory } from "./disk.ts";
import { EmbeddedQueue } from "./embedded-queue.ts";
import { lockDirectory } from "./lock.ts";

const dirs: string[] = [];
const places = new WeakMap<TestedQueue, string>();
const world = realWorld();
const signal = AbortSignal.timeout(60_000);

async function start(dir: string, tailBytes: number): Promise<TestedQueue> {
  const limits = {
    segmentBytes: 65_536,
    tailBytes,
    pendingBytes: 4_000_000,
    recordBytes: 100_000,
    positionDelayMs: 20,
  };
  const meter = { commit() {}, sizes() {} };
  const queue = new EmbeddedQueue({ world, log: silentLog, limits, meter }, async () => {
    const lock = await lockDirectory(dir, world);
    return { disk: await openDirectory(dir), [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose]() };
  });
  await queue.start(signal);
  places.set(queue, dir);
  return queue;
}

afterAll(async () => {
  for (const dir of dirs) await rm(dir, { recursive: true, force: true });
});

for (const [name, tailBytes] of [
  ["embedded queue", 8_000_000],
  ["embedded queue that always reads from disk", 0],
] as const) {
  describeQueueBackend(name, {
    create: async () => {
      const dir = await mkdtemp(join(tmpdir(), "queue-embedded-"));
      dirs.push(dir);
      return start(dir, tailBytes);
    },
    supports: { delayedRetry: true, survivesRestart: true, lag: true },
    reopen: async (queue) => {
      await queue[Symbol.asyncDispose]();
      return start(places.get(queue) as string, tailBytes);
    },
  });
}
