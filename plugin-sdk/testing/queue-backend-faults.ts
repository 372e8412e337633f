import assert from "node:assert/strict";
import { isFault } from "../src/index.ts";
import type { KitCase } from "./kit.ts";
import { at, job, jobs, type QueueContext, soon, take, text, unsure } from "./queue-backend-context.ts";

/** What holds while the queue cannot be reached. */
export const queueFaultCases: KitCase<QueueContext>[] = [
  {
    name: "a send that fails says which records are unsure; all others are read after the connection is back",
    run: async ({ kit, queue }) => {
      const acknowledged: string[] = [];
      const wave = async (prefix: string) => {
        const records = [...jobs(4, 0, prefix), ...jobs(4, 1, prefix)];
        const open = await queue.send("jobs", records, soon(2_000)).then(
          () => new Set<number>(),
          (reason: unknown) => unsure(reason, records.length),
        );
        acknowledged.push(...records.flatMap((r, i) => (open.has(i) ? [] : `${r.partition}:${Buffer.from(r.body)}`)));
      };
      await wave("before");
      const sending = Array.from({ length: 20 }, (_, i) => wave(`during-${i}`));
      await kit.faults?.disconnect();
      await Promise.all(sending);
      await kit.faults?.reconnect();
      await wave("after");
      const seen = new Set<string>();
      for (const partition of [0, 1]) {
        await queue.send("jobs", [job("end", partition)], soon());
        await using reader = queue.reader(at("a", partition));
        for (let last = ""; last !== "end"; ) {
          const [record] = await take(reader, 1);
          last = record === undefined ? "" : text(record);
          seen.add(`${partition}:${last}`);
        }
      }
      assert.deepEqual(
        acknowledged.filter((name) => !seen.has(name)),
        [],
      );
    },
  },
  {
    name: "a send while the queue cannot be reached ends with a retryable fault or with the signal",
    run: async ({ kit, queue }) => {
      await kit.faults?.disconnect();
      const call = soon(500);
      const reason = await queue.send("jobs", [job("lost")], call).then(
        () => undefined,
        (error: unknown) => error,
      );
      await kit.faults?.reconnect();
      assert.ok(reason === call.signal.reason || (isFault(reason) && reason.retryable), `got ${String(reason)}`);
    },
  },
];
