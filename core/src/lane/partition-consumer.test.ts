import type { InRecord, PartitionReader } from "@heddle/plugin-sdk";
import { expect, it } from "vitest";
import { quietLog } from "../../testing/quiet-log.ts";
import { Simulation, SimWorld } from "../../testing/sim-world.ts";
import { PartitionConsumer } from "./partition-consumer.ts";

it("starts and settles nothing once the node may no longer act, though nobody has told it yet", async () => {
  const sim = new Simulation(1);
  const records = [1, 2, 3].map((n): InRecord => {
    return { partition: 0, key: "k", body: Uint8Array.of(n), position: String(n), attempt: 1, sentAt: 0 };
  });
  const settled: number[] = [];
  let given = false;
  const reader: PartitionReader = {
    read: async (_max, { signal }) => {
      if (given) await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      given = true;
      return { records, settle: async (done) => void settled.push(done) };
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const begun: number[] = [];
  let mayAct = true;
  const consumer = new PartitionConsumer({
    world: new SimWorld(sim),
    log: quietLog(),
    lane: { name: "work", retainMs: 1, retry: { attempts: 1, backoffMs: 1 }, exhausted: "skip" },
    partition: 0,
    counters: { handled: 0, retried: 0, skipped: 0, inProgress: 0 },
    open: () => reader,
    mayAct: () => mayAct,
    deadLetter: async () => {},
    handle: async (_key, body) => {
      begun.push((body as Uint8Array)[0] as number);
      // Stalled past its lease in the middle of this record.
      mayAct = false;
    },
  });
  await sim.advance(100);
  expect({ begun, settled }).toEqual({ begun: [1], settled: [] });
  await consumer.stop();
});
