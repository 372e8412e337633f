import { describe, expect, it } from "vitest";
import { steppedWorld } from "../world.ts";
import { memoryQueue } from "./queue.ts";

const call = { signal: new AbortController().signal };
const at = { topic: "t", group: "g", partition: 0 };
const record = (name: string) => ({ partition: 0, key: "k", body: Buffer.from(name) });
const names = (records: readonly { readonly body: Uint8Array }[]) =>
  records.map(({ body }) => Buffer.from(body).toString());

async function twoClients() {
  const world = steppedWorld(3);
  const queue = memoryQueue(world);
  const [a, b] = [queue.client("a"), queue.client("b")];
  await a.ensure([{ name: "t", partitions: 1, retainMs: 1_000 }], call);
  return { world, queue, a, b };
}

describe("memory queue with several clients", () => {
  it("gives the unsettled records of a crashed client to another one, counting the attempt", async () => {
    const { a, b } = await twoClients();
    await a.send("t", ["1", "2", "3"].map(record), call);
    const batch = await a.reader(at).read(2, call);
    const waiting = b.reader(at).read(5, call);
    a.crash();
    const taken = await waiting;
    expect(names(taken.records)).toEqual(["1", "2", "3"]);
    expect(taken.records.map(({ attempt }) => attempt)).toEqual([2, 2, 1]);
    await expect(batch.settle(2, call)).rejects.toMatchObject({ code: "queue.closed" });
    await expect(a.send("t", [record("4")], call)).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("lets a healed client go on reading, but not settle what it had before", async () => {
    const { a } = await twoClients();
    await a.send("t", ["1", "2"].map(record), call);
    const reader = a.reader(at);
    const before = await reader.read(1, call);
    a.cut();
    await expect(reader.read(1, call)).rejects.toMatchObject({ code: "queue.closed" });
    a.heal();
    await expect(before.settle(1, call)).rejects.toMatchObject({ code: "queue.settle" });
    expect(names((await reader.read(5, call)).records)).toEqual(["1", "2"]);
  });

  it("replaces a crashed client by a fresh one of the same name", async () => {
    const { queue, a } = await twoClients();
    await a.send("t", [record("1")], call);
    const again = queue.client("a");
    expect(names((await again.reader(at).read(5, call)).records)).toEqual(["1"]);
    await expect(a.send("t", [record("2")], call)).rejects.toMatchObject({ code: "queue.closed" });
  });

  it("refuses what it has no room for, and makes room of what is settled or too old", async () => {
    const world = steppedWorld();
    const queue = memoryQueue(world, { capacity: 3 }).client("a");
    await queue.ensure([{ name: "t", partitions: 1, retainMs: 1_000 }], call);
    await queue.send("t", ["1", "2", "3"].map(record), call);
    await expect(queue.send("t", [record("4")], call)).rejects.toMatchObject({ code: "queue.full", kind: "exhausted" });
    await (await queue.reader(at).read(1, call)).settle(1, call);
    await queue.send("t", [record("4")], call);
    await world.pass(2_000);
    await queue.send("t", ["5", "6", "7"].map(record), call);
  });

  it("takes the same time with the same seed", async () => {
    const run = async () => {
      const world = steppedWorld(9);
      const queue = memoryQueue(world, { delayMs: 50 }).client("a");
      const done: number[] = [];
      void queue.ensure([{ name: "t", partitions: 1, retainMs: 1_000 }], call).then(() => done.push(world.elapsed()));
      await world.pass(200);
      for (const name of ["1", "2", "3"])
        void queue.send("t", [record(name)], call).then(() => done.push(world.elapsed()));
      await world.pass(200);
      return done;
    };
    const first = await run();
    expect(first).toHaveLength(4);
    expect(await run()).toEqual(first);
  });
});
