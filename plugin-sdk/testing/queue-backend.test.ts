import { describe, expect, it } from "vitest";
import type { InRecord, PartitionReader, QueueBackend, ReadBatch } from "../src/index.ts";
import { failingCases } from "./kit.ts";
import { memoryQueue } from "./memory/queue.ts";
import { describeQueueBackend, type QueueKit, queueCases, queueSetup, type TestedQueue } from "./queue-backend.ts";
import { realWorld } from "./world.ts";

const supports = { delayedRetry: true, survivesRestart: false, lag: true };
const create = async () => memoryQueue(realWorld()).client("one");

describeQueueBackend("memory queue", { create, supports });

const client = { current: memoryQueue(realWorld(2), { delayMs: 3 }).client("one") };
describeQueueBackend("memory queue with delays and cuts", {
  create: async () => {
    client.current = memoryQueue(realWorld(2), { delayMs: 3 }).client("one");
    return client.current;
  },
  supports,
  faults: { disconnect: async () => client.current.cut(), reconnect: async () => client.current.heal() },
});

type Place = Parameters<QueueBackend["reader"]>[0];

/** The memory queue with something changed. */
const broken =
  (
    change: (good: TestedQueue) => Partial<TestedQueue>,
    readers?: (reader: PartitionReader, at: Place) => Partial<PartitionReader>,
  ) =>
  async (): Promise<TestedQueue> => {
    const good = await create();
    const wrapped: TestedQueue = {
      limits: good.limits,
      ensure: (topics, call) => good.ensure(topics, call),
      send: (topic, records, call) => good.send(topic, records, call),
      reader: (at) => {
        const reader = good.reader(at);
        return {
          read: (max, call) => reader.read(max, call),
          [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
          ...readers?.(reader, at),
        };
      },
      [Symbol.asyncDispose]: () => good[Symbol.asyncDispose](),
    };
    return { ...wrapped, ...change(good) };
  };

const withRecords = (batch: ReadBatch, change: (records: readonly InRecord[]) => readonly InRecord[]): ReadBatch => ({
  records: change(batch.records),
  settle: (done, call) => batch.settle(done, call),
});

const variants: Record<
  string,
  { readonly make: () => Promise<TestedQueue>; readonly found: string; readonly kit?: Partial<QueueKit> }
> = {
  "acknowledges before it has written": {
    make: broken((good) => ({
      send: async (topic, records, call) =>
        void setTimeout(() => void good.send(topic, records, call).catch(() => {}), 30),
    })),
    found: "an unknown topic or partition is refused before anything is written",
  },
  "loses every fifth record": {
    make: broken((good) => {
      let sent = 0;
      return {
        send: (topic, records, call) =>
          good.send(
            topic,
            records.filter(() => ++sent % 5 !== 0),
            call,
          ),
      };
    }),
    found: "what send has resolved for is there for a reader that comes later",
  },
  "keeps the sender's buffer": {
    make: broken(
      () => ({}),
      (reader) => ({
        read: async (max, call) =>
          withRecords(await reader.read(max, call), (all) => all.map((r) => ({ ...r, body: Buffer.from("after!") }))),
      }),
    ),
    found: "a body may be changed by its owner after send has resolved",
  },
  "loses the order": {
    make: broken(
      () => ({}),
      (reader) => ({
        read: async (max, call) => withRecords(await reader.read(max, call), (records) => [...records].reverse()),
      }),
    ),
    found: "records of a partition come in the order they were sent, and positions grow",
  },
  "settles the whole batch for a prefix": {
    make: broken(
      () => ({}),
      (reader) => ({
        read: async (max, call) => {
          const batch = await reader.read(max, call);
          return {
            records: batch.records,
            settle: (done, how) => batch.settle(done > 0 ? batch.records.length : 0, how),
          };
        },
      }),
    ),
    found: "settling a prefix brings the rest again, in order and before what is newer",
  },
  "settles for all groups": {
    make: broken((good) => ({
      reader: (at) => good.reader({ ...at, group: "same" }),
    })),
    found: "two groups read independently",
  },
  "drops what a disposed reader had": {
    make: broken(
      () => ({}),
      (reader) => {
        let batch: ReadBatch | undefined;
        return {
          read: async (max, call) => {
            const current = await reader.read(max, call);
            batch = current;
            return {
              records: current.records,
              settle: (done, how) => current.settle(done, how).finally(() => (batch = undefined)),
            };
          },
          [Symbol.asyncDispose]: async () => {
            await batch?.settle(batch.records.length, { signal: AbortSignal.timeout(1_000) });
            await reader[Symbol.asyncDispose]();
          },
        };
      },
    ),
    found: "disposing a reader brings unsettled records to the next one, in order",
  },
  "gives two batches at once": {
    make: broken(
      () => ({}),
      (reader) => ({
        read: async (max, call) => {
          const batch = await reader.read(max, call);
          await batch.settle(batch.records.length, call);
          return { records: batch.records, settle: async () => {} };
        },
      }),
    ),
    found: "a second read before settle is refused and does no harm",
  },
  "does not hear the signal": {
    make: broken(
      () => ({}),
      (reader) => ({
        read: (max) => reader.read(max, { signal: AbortSignal.timeout(60_000) }),
      }),
    ),
    found: "a read that waits ends with the signal's reason soon after abort, and loses nothing",
  },
  "repeats at once": {
    make: broken(
      () => ({}),
      (reader) => ({
        read: async (max, call) => {
          const batch = await reader.read(max, call);
          return { records: batch.records, settle: (done, how) => batch.settle(done, { signal: how.signal }) };
        },
      }),
    ),
    found: "the rest of a batch comes not before retryInMs",
  },
  "always says attempt 1": {
    make: broken(
      () => ({}),
      (reader) => ({
        read: async (max, call) =>
          withRecords(await reader.read(max, call), (all) => all.map((r) => ({ ...r, attempt: 1 }))),
      }),
    ),
    found: "records that were not settled count their attempts",
  },
  "writes what comes before an oversize record": {
    make: broken((good) => ({
      send: async (topic, records, call) => {
        for (const record of records) await good.send(topic, [record], call);
      },
    })),
    found: "a record over the limit is refused before anything is written",
  },
  "gives more than was asked for": {
    make: broken(
      () => ({}),
      (reader) => ({ read: (max, call) => reader.read(max * 10, call) }),
    ),
    found: "a reader that does nothing costs nobody anything, and gets no more than it asks for",
  },
  "forgets everything at a restart": {
    make: create,
    kit: { supports: { delayedRetry: true, survivesRestart: true }, reopen: create },
    found: "what is not settled survives a restart, what is settled does not come again",
  },
  "claims not to delay, but takes the delay": {
    make: create,
    kit: { supports: { delayedRetry: false, survivesRestart: false } },
    found: "settle with retryInMs is refused and changes nothing",
  },
};

describe("the queue kit finds a queue that", () => {
  for (const [what, { make, found, kit: change }] of Object.entries(variants)) {
    it(what, async () => {
      const kit: QueueKit = { create: make, supports, quietMs: 60, ...change };
      const suspects = queueCases(kit).filter(({ name }) => name === found);
      expect(suspects).toHaveLength(1);
      expect(await failingCases(suspects, queueSetup(kit))).toEqual([found]);
    });
  }
});
