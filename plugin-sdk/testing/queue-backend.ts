import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { describeCases, type KitCase, type KitSetup } from "./kit.ts";
import {
  at,
  hold,
  job,
  jobs,
  names,
  type QueueContext,
  type QueueKit,
  quiet,
  refused,
  soon,
  take,
  text,
} from "./queue-backend-context.ts";
import { queueFaultCases } from "./queue-backend-faults.ts";
import { orderCases, settleCases } from "./queue-backend-records.ts";

export type { QueueKit, TestedQueue } from "./queue-backend-context.ts";

/** The contract of `QueueBackend`. */
export function describeQueueBackend(name: string, kit: QueueKit): void {
  describeCases(`${name} as QueueBackend`, queueCases(kit), queueSetup(kit));
}

/** The cases that apply to what the kit says it supports. */
export function queueCases(kit: QueueKit): KitCase<QueueContext>[] {
  return [
    ...orderCases,
    ...settleCases,
    ...readerCases,
    ...refusalCases,
    ...(kit.supports.delayedRetry ? delayedRetryCases : noDelayedRetryCases),
    ...(kit.supports.survivesRestart ? restartCases : []),
    ...(kit.supports.lag === true ? lagCases : []),
    ...(kit.faults === undefined ? [] : queueFaultCases),
  ];
}

export function queueSetup(kit: QueueKit): KitSetup<QueueContext> {
  return async () => {
    const context: QueueContext = {
      kit,
      queue: await kit.create(),
      quietMs: kit.quietMs ?? 200,
      [Symbol.asyncDispose]: () => Promise.resolve(context.queue[Symbol.asyncDispose]()),
    };
    await context.queue.ensure([{ name: "jobs", partitions: 4, retainMs: 3_600_000 }], soon());
    return context;
  };
}

const readerCases: KitCase<QueueContext>[] = [
  {
    name: "disposing a reader brings unsettled records to the next one, in order",
    run: async ({ queue }) => {
      await queue.send("jobs", jobs(5), soon());
      const first = queue.reader(at("a"));
      await hold(first, 4);
      await first[Symbol.asyncDispose]();
      await first[Symbol.asyncDispose]();
      await using second = queue.reader(at("a"));
      assert.deepEqual((await take(second, 5)).map(text), names(jobs(5)));
    },
  },
  {
    name: "a batch of a disposed reader cannot be settled",
    run: async ({ queue }) => {
      await queue.send("jobs", jobs(3), soon());
      const first = queue.reader(at("a"));
      const batch = await hold(first, 3);
      await first[Symbol.asyncDispose]();
      await assert.rejects(batch.settle(3, soon()));
      await using second = queue.reader(at("a"));
      assert.deepEqual((await take(second, 3)).map(text), names(jobs(3)));
    },
  },
  {
    name: "hand-over between readers under load loses nothing and keeps the order",
    run: async ({ queue }) => {
      const sending = (async () => {
        for (let i = 0; i < 60; i += 1) await queue.send("jobs", jobs(5, 0, `wave-${i}`), soon());
      })();
      const settled: string[] = [];
      for (let turn = 0; settled.length < 300; turn += 1) {
        const reader = queue.reader(at("a"));
        const batch = await reader.read(7, soon());
        const done = turn % 3 === 0 ? 0 : Math.ceil(batch.records.length / 2);
        settled.push(...batch.records.slice(0, done).map(text));
        if (done > 0) await batch.settle(done, soon());
        await reader[Symbol.asyncDispose]();
      }
      await sending;
      assert.deepEqual(settled, Array.from({ length: 60 }, (_, i) => names(jobs(5, 0, `wave-${i}`))).flat());
    },
  },
  {
    name: "a second read before settle is refused and does no harm",
    run: async ({ queue }) => {
      await queue.send("jobs", jobs(3), soon());
      await using reader = queue.reader(at("a"));
      const batch = await hold(reader, 2);
      await refused(reader.read(1, soon()), "queue.unsettled");
      await batch.settle(2, soon());
      assert.deepEqual((await take(reader, 1)).map(text), ["job-2"]);
    },
  },
  {
    name: "a read waits for a record and has it soon",
    run: async ({ queue }) => {
      await using reader = queue.reader(at("a", 3));
      const waiting = reader.read(10, soon());
      await pause(20);
      await queue.send("jobs", [job("late", 3)], soon());
      assert.deepEqual((await waiting).records.map(text), ["late"]);
    },
  },
  {
    name: "a read that waits ends with the signal's reason soon after abort, and loses nothing",
    run: async ({ queue }) => {
      await using reader = queue.reader(at("a"));
      const stop = new AbortController();
      const waiting = reader.read(1, { signal: stop.signal });
      setTimeout(() => stop.abort(new Error("enough")), 20);
      const started = performance.now();
      await assert.rejects(waiting, { message: "enough" });
      assert.ok(performance.now() - started < 1_000, "abort took more than a second");
      await queue.send("jobs", [job("after")], soon());
      assert.deepEqual((await take(reader, 1)).map(text), ["after"]);
    },
  },
  {
    name: "a read that waits ends when its reader is disposed",
    run: async ({ queue }) => {
      const reader = queue.reader(at("a"));
      const waiting = assert.rejects(reader.read(1, soon()));
      await pause(10);
      await reader[Symbol.asyncDispose]();
      await waiting;
      await assert.rejects(reader.read(1, soon()));
    },
  },
  {
    name: "a reader that does nothing costs nobody anything, and gets no more than it asks for",
    run: async ({ queue }) => {
      await using idle = queue.reader(at("idle"));
      const held = idle.read(2, soon());
      const body = Buffer.alloc(16 * 1024, 1);
      for (let i = 0; i < 40; i += 1) {
        await queue.send(
          "jobs",
          Array.from({ length: 10 }, () => ({ partition: 0, key: `n-${i}`, body })),
          soon(),
        );
      }
      assert.ok((await held).records.length <= 2);
      await using busy = queue.reader(at("busy"));
      assert.equal((await take(busy, 400)).length, 400);
      await (await held).settle((await held).records.length, soon());
      const rest = await take(idle, 400 - (await held).records.length, 50);
      assert.equal(rest.at(-1)?.key, "n-39");
    },
  },
];

const refusalCases: KitCase<QueueContext>[] = [
  {
    name: "a record over the limit is refused before anything is written",
    run: async ({ queue, quietMs }) => {
      const big = { partition: 0, key: "big", body: new Uint8Array(queue.limits.recordBytes + 1) };
      await refused(queue.send("jobs", [job("small"), big], soon()), "queue.record-too-large");
      await using reader = queue.reader(at("a"));
      await quiet(reader, quietMs);
    },
  },
  {
    name: "an unknown topic or partition is refused before anything is written",
    run: async ({ queue, quietMs }) => {
      await refused(queue.send("nowhere", [job("lost")], soon()), "queue.topic-unknown");
      await refused(queue.send("jobs", [job("small"), job("lost", 4)], soon()), "queue.partition-unknown");
      await refused(() => queue.reader(at("a", 4)), "queue.partition-unknown");
      await using reader = queue.reader(at("a"));
      await quiet(reader, quietMs);
    },
  },
  {
    name: "ensure may be repeated, and refuses another number of partitions without making anything",
    run: async ({ queue }) => {
      await queue.send("jobs", [job("kept")], soon());
      await queue.ensure([{ name: "jobs", partitions: 4, retainMs: 3_600_000 }], soon());
      const other = [
        { name: "fresh", partitions: 1, retainMs: 3_600_000 },
        { name: "jobs", partitions: 5, retainMs: 3_600_000 },
      ];
      await refused(queue.ensure(other, soon()), "queue.partitions");
      await refused(queue.send("fresh", [job("lost")], soon()), "queue.topic-unknown");
      await using reader = queue.reader(at("a"));
      assert.deepEqual((await take(reader, 1)).map(text), ["kept"]);
    },
  },
  {
    name: "a signal that has aborted stops send and read at once",
    run: async ({ queue, quietMs }) => {
      const signal = AbortSignal.abort(new Error("too late"));
      await using reader = queue.reader(at("a"));
      await assert.rejects(queue.send("jobs", [job("lost")], { signal }), { message: "too late" });
      await assert.rejects(reader.read(1, { signal }), { message: "too late" });
      await quiet(reader, quietMs);
    },
  },
  {
    name: "sending nothing resolves",
    run: async ({ queue }) => {
      await queue.send("jobs", [], soon());
    },
  },
];

const delayedRetryCases: KitCase<QueueContext>[] = [
  {
    name: "the rest of a batch comes not before retryInMs",
    run: async ({ queue }) => {
      await queue.send("jobs", jobs(2), soon());
      await using reader = queue.reader(at("a"));
      const batch = await hold(reader, 2);
      const started = performance.now();
      await batch.settle(1, { ...soon(), retryInMs: 150 });
      assert.deepEqual((await take(reader, 1)).map(text), ["job-1"]);
      const waited = performance.now() - started;
      assert.ok(waited >= 140, `came after ${waited} ms`);
    },
  },
];

const noDelayedRetryCases: KitCase<QueueContext>[] = [
  {
    name: "settle with retryInMs is refused and changes nothing",
    run: async ({ queue }) => {
      await queue.send("jobs", jobs(2), soon());
      await using reader = queue.reader(at("a"));
      const batch = await hold(reader, 2);
      await refused(batch.settle(1, { ...soon(), retryInMs: 150 }), "queue.no-delayed-retry");
      await batch.settle(0, soon());
      assert.deepEqual((await take(reader, 2)).map(text), names(jobs(2)));
    },
  },
];

const restartCases: KitCase<QueueContext>[] = [
  {
    name: "what is not settled survives a restart, what is settled does not come again",
    run: async (context) => {
      const { kit, quietMs } = context;
      assert.ok(kit.reopen !== undefined, "survivesRestart needs reopen");
      await context.queue.send("jobs", [...jobs(5, 0), ...jobs(3, 1, "other")], soon());
      const reader = context.queue.reader(at("a"));
      await (await hold(reader, 5)).settle(3, soon());
      context.queue = await kit.reopen(context.queue);
      await using again = context.queue.reader(at("a"));
      assert.deepEqual((await take(again, 2)).map(text), ["job-3", "job-4"]);
      await quiet(again, quietMs);
      await using other = context.queue.reader(at("a", 1));
      assert.deepEqual((await take(other, 3)).map(text), names(jobs(3, 1, "other")));
      await context.queue.send("jobs", [job("new")], soon());
      assert.deepEqual((await take(again, 1)).map(text), ["new"]);
    },
  },
];

const lagCases: KitCase<QueueContext>[] = [
  {
    name: "lag counts what a group has not settled, per partition",
    run: async ({ queue }) => {
      const lag = async (group: string) => queue.lag?.({ topic: "jobs", group }, soon());
      assert.deepEqual(await lag("a"), [0, 0, 0, 0]);
      await queue.send("jobs", [...jobs(5, 0), ...jobs(3, 2)], soon());
      assert.deepEqual(await lag("a"), [5, 0, 3, 0]);
      const reader = queue.reader(at("a"));
      await (await hold(reader, 4)).settle(3, soon());
      await reader[Symbol.asyncDispose]();
      assert.deepEqual(await lag("a"), [2, 0, 3, 0]);
      assert.deepEqual(await lag("b"), [5, 0, 3, 0]);
    },
  },
  {
    name: "lag of an unknown topic is refused",
    run: async ({ queue }) => {
      await refused(async () => queue.lag?.({ topic: "nowhere", group: "a" }, soon()), "queue.topic-unknown");
    },
  },
];
