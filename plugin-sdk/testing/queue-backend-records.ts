import assert from "node:assert/strict";
import type { KitCase } from "./kit.ts";
import {
  at,
  hold,
  job,
  jobs,
  names,
  type QueueContext,
  quiet,
  refused,
  soon,
  take,
  text,
} from "./queue-backend-context.ts";

/** What is read is what was sent. */
export const orderCases: KitCase<QueueContext>[] = [
  {
    name: "a record is read as it was sent",
    run: async ({ queue }) => {
      const before = Date.now();
      const sent = {
        partition: 2,
        key: "gerät/7",
        body: Uint8Array.of(0, 255, 10),
        headers: { trace: "t-1", kind: "ü" },
      };
      await queue.send("jobs", [sent, { partition: 2, key: "", body: new Uint8Array(0) }], soon());
      await using reader = queue.reader(at("a", 2));
      const [first, second] = await take(reader, 2);
      assert.deepEqual(
        { ...first, body: [...(first?.body ?? [])], headers: { ...first?.headers } },
        {
          ...first,
          partition: 2,
          key: "gerät/7",
          body: [0, 255, 10],
          headers: { trace: "t-1", kind: "ü" },
          attempt: 1,
        },
      );
      assert.ok(Math.abs((first?.sentAt ?? 0) - before) < 60_000, `sentAt ${first?.sentAt} is not about ${before}`);
      assert.equal(second?.key, "");
      assert.equal(second?.body.byteLength, 0);
    },
  },
  {
    name: "what send has resolved for is there for a reader that comes later",
    run: async ({ queue }) => {
      for (let i = 0; i < 20; i += 1) await queue.send("jobs", [job(`job-${i}`)], soon());
      await using reader = queue.reader(at("late"));
      assert.deepEqual((await take(reader, 20)).map(text), names(jobs(20)));
    },
  },
  {
    name: "a body may be changed by its owner after send has resolved",
    run: async ({ queue }) => {
      const body = Buffer.from("before");
      await queue.send("jobs", [{ partition: 0, key: "k", body }], soon());
      body.write("after!");
      await using reader = queue.reader(at("a"));
      assert.deepEqual((await take(reader, 1)).map(text), ["before"]);
    },
  },
  {
    name: "records of a partition come in the order they were sent, and positions grow",
    run: async ({ queue }) => {
      await Promise.all([0, 1, 2].map((n) => queue.send("jobs", jobs(50, 1, `s${n}`), soon())));
      await using reader = queue.reader(at("a", 1));
      const got = await take(reader, 150, 7);
      for (const n of [0, 1, 2]) {
        assert.deepEqual(
          got.map(text).filter((name) => name.startsWith(`s${n}-`)),
          names(jobs(50, 1, `s${n}`)),
        );
      }
      const grows = (a: string, b: string) => a.length < b.length || (a.length === b.length && a < b);
      got.reduce((before, record) => {
        assert.ok(grows(before.position, record.position), `${record.position} after ${before.position}`);
        return record;
      });
    },
  },
  {
    name: "partitions do not hold each other up and do not mix",
    run: async ({ queue }) => {
      await queue.send("jobs", [...jobs(3, 0, "zero"), ...jobs(3, 1, "one")], soon());
      await using zero = queue.reader(at("a", 0));
      await using one = queue.reader(at("a", 1));
      await hold(zero, 3);
      assert.deepEqual((await take(one, 3)).map(text), names(jobs(3, 1, "one")));
      await quiet(one, 50);
    },
  },
  {
    name: "two groups read independently",
    run: async ({ queue }) => {
      await using a = queue.reader(at("a"));
      await using b = queue.reader(at("b"));
      await queue.send("jobs", jobs(6), soon());
      assert.deepEqual((await take(a, 6)).map(text), names(jobs(6)));
      assert.deepEqual((await take(b, 6, 2)).map(text), names(jobs(6)));
    },
  },
  {
    name: "a new group begins at the oldest record",
    run: async ({ queue }) => {
      await queue.send("jobs", jobs(4), soon());
      await using first = queue.reader(at("first"));
      await hold(first, 4);
      await using second = queue.reader(at("second"));
      assert.deepEqual((await take(second, 4)).map(text), names(jobs(4)));
    },
  },
];

/** What settling does and does not do. */
export const settleCases: KitCase<QueueContext>[] = [
  {
    name: "settling a prefix brings the rest again, in order and before what is newer",
    run: async ({ queue }) => {
      await queue.send("jobs", jobs(5), soon());
      await using reader = queue.reader(at("a"));
      await (await hold(reader, 5)).settle(2, soon());
      await queue.send("jobs", [job("newer")], soon());
      assert.deepEqual((await take(reader, 4)).map(text), ["job-2", "job-3", "job-4", "newer"]);
    },
  },
  {
    name: "records that were not settled count their attempts",
    run: async ({ queue }) => {
      await queue.send("jobs", jobs(2), soon());
      await using reader = queue.reader(at("a"));
      let batch = await hold(reader, 2);
      assert.equal(batch.records[0]?.attempt, 1);
      await batch.settle(0, soon());
      batch = await hold(reader, 2);
      assert.ok((batch.records[0]?.attempt ?? 0) >= 2, `second delivery says attempt ${batch.records[0]?.attempt}`);
      await batch.settle(2, soon());
      await queue.send("jobs", [job("other")], soon());
      assert.equal((await take(reader, 1))[0]?.attempt, 1);
    },
  },
  {
    name: "a settled record does not come again to a later reader",
    run: async ({ queue, quietMs }) => {
      await queue.send("jobs", jobs(4), soon());
      const first = queue.reader(at("a"));
      await take(first, 4);
      await first[Symbol.asyncDispose]();
      await using second = queue.reader(at("a"));
      await quiet(second, quietMs);
    },
  },
  {
    name: "a batch is settled once, and for no more records than it holds",
    run: async ({ queue }) => {
      await queue.send("jobs", jobs(3), soon());
      await using reader = queue.reader(at("a"));
      const batch = await hold(reader, 2);
      await refused(batch.settle(3, soon()), "queue.settle");
      await refused(batch.settle(-1, soon()), "queue.settle");
      await batch.settle(1, soon());
      await refused(batch.settle(2, soon()), "queue.settle");
      assert.deepEqual((await take(reader, 2)).map(text), ["job-1", "job-2"]);
    },
  },
];
