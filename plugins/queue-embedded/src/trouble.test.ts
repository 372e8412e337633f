import type { OutRecord } from "@heddle/plugin-sdk";
import { ModelledDisk, silentLog, steppedWorld } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { type OpenQueue, openQueue, type QueueLimits } from "./open-queue.ts";

const call = { signal: new AbortController().signal };
const defaults = {
  segmentBytes: 4_000,
  tailBytes: 1_000_000,
  pendingBytes: 100_000,
  recordBytes: 50_000,
  positionDelayMs: 100,
};
const record = (n: number, partition = 0, bytes = 100): OutRecord => ({
  partition,
  key: "k",
  body: Buffer.from(`${n}`.padEnd(bytes)),
});
const at = (group: string, partition = 0) => ({ topic: "t", group, partition });

async function place(limits: Partial<QueueLimits> = {}) {
  const world = steppedWorld(5);
  const disk = new ModelledDisk();
  const meter = { commit() {}, sizes() {} };
  const open = async (from: ModelledDisk): Promise<OpenQueue> => {
    const queue = await openQueue(
      { disk: from, world, log: silentLog, limits: { ...defaults, ...limits }, meter },
      call.signal,
    );
    await queue.ensure([{ name: "t", partitions: 2, retainMs: 60_000 }], call);
    return queue;
  };
  return { world, disk, open, queue: await open(disk) };
}

async function readAll(queue: OpenQueue, group = "g", partition = 0): Promise<number[]> {
  await using reader = queue.reader(at(group, partition));
  const seen: number[] = [];
  const stop = AbortSignal.timeout(60);
  try {
    for (;;) {
      const batch = await reader.read(100, { signal: stop });
      seen.push(...batch.records.map(({ body }) => Number.parseInt(Buffer.from(body).toString(), 10)));
      await batch.settle(batch.records.length, call);
    }
  } catch (reason) {
    if (reason !== stop.reason) throw reason;
  }
  return seen;
}

describe("a disk in trouble", () => {
  const troubles = {
    "is full": { breakIt: { spaceBytes: 50 }, cure: { spaceBytes: 1e9 } },
    "fails a sync": { breakIt: { failingSyncs: 1 }, cure: {} },
  };
  for (const [what, { breakIt, cure }] of Object.entries(troubles)) {
    it(`that ${what}: sends fail, reads go on, the queue recovers by itself and loses nothing`, async () => {
      const { world, disk, queue, open } = await place();
      await queue.reader(at("other"))[Symbol.asyncDispose]();
      await queue.send("t", [record(1), record(2)], call);
      Object.assign(disk, breakIt);
      await expect(queue.send("t", [record(3)], call)).rejects.toMatchObject({
        code: "queue.disk",
        kind: "unavailable",
      });
      expect(queue.health()).toMatchObject({ state: "down" });
      await expect(queue.send("t", [record(4)], call)).rejects.toMatchObject({ code: "queue.disk" });
      expect(await readAll(queue)).toEqual([1, 2]);
      Object.assign(disk, cure);
      await world.pass(1_100);
      expect(queue.health()).toEqual({ state: "up" });
      await queue.send("t", [record(5)], call);
      expect(await readAll(queue)).toEqual([5]);
      const seen = await readAll(await open(disk.restart(1)), "other");
      expect(seen.filter((n) => n !== 3)).toEqual([1, 2, 5]);
    });
  }

  it("stays down while probes fail, and says so", async () => {
    const { world, disk, queue } = await place();
    disk.spaceBytes = 0;
    await expect(queue.send("t", [record(1)], call)).rejects.toMatchObject({ code: "queue.disk" });
    await world.pass(5_000);
    expect(queue.health()).toMatchObject({ state: "down", detail: expect.stringContaining("5 s") });
    await queue.close();
  });
});

describe("damage", () => {
  it("in a sealed segment is a fault that names file and byte", async () => {
    const { disk, queue, open } = await place();
    for (let n = 0; n < 60; n += 1) await queue.send("t", [record(n)], call);
    await queue.close();
    disk.damage("000000000001.log", 1_500);
    await expect(open(disk.restart(1))).rejects.toMatchObject({
      code: "queue.corrupt",
      message: expect.stringMatching(/000000000001\.log is damaged at byte \d+/),
    });
  });

  it("in the durable part of the newest segment is a fault, not a torn end", async () => {
    const { disk, queue, open } = await place({ segmentBytes: 1_000_000 });
    for (let n = 0; n < 10; n += 1) await queue.send("t", [record(n)], call);
    await queue.close();
    disk.damage("000000000001.log", 700);
    await expect(open(disk.restart(1))).rejects.toMatchObject({ code: "queue.corrupt" });
  });

  it("at the end of the newest segment is a torn end and drops what nobody was promised", async () => {
    const { disk, queue, open } = await place({ segmentBytes: 1_000_000 });
    for (let n = 0; n < 10; n += 1) await queue.send("t", [record(n)], call);
    disk.failingSyncs = 1;
    await expect(queue.send("t", [record(10)], call)).rejects.toMatchObject({ code: "queue.disk" });
    expect((await readAll(await open(disk.restart(7)))).slice(0, 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("met while reading is a fault of that read", async () => {
    const { disk, queue } = await place({ tailBytes: 0 });
    for (const n of [1, 2, 3, 4]) await queue.send("t", [record(n)], call);
    disk.damage("000000000001.log", 700);
    await expect(queue.reader(at("g")).read(4, call)).rejects.toMatchObject({ code: "queue.corrupt" });
  });
});

describe("bounds", () => {
  it("sends beyond pendingBytes wait in order, beyond twice that they are refused, and none is lost", async () => {
    const { disk, queue } = await place({ pendingBytes: 2_000 });
    disk.syncTurns = 50;
    const order: number[] = [];
    const sends = Array.from({ length: 50 }, (_, n) => queue.send("t", [record(n)], call).then(() => order.push(n)));
    const outcomes = await Promise.allSettled(sends);
    const refused = outcomes.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(5);
    expect(refused.length).toBeLessThan(30);
    expect(refused[0]).toMatchObject({ reason: { code: "queue.full", kind: "exhausted" } });
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(await readAll(queue)).toEqual(order);
  });

  it("a send that waits for room ends with its signal and takes no room", async () => {
    const { disk, queue } = await place({ pendingBytes: 1_000 });
    disk.syncTurns = 20;
    const stop = new AbortController();
    const sending = queue.send("t", [record(1, 0, 700)], call);
    const waiting = expect(queue.send("t", [record(2, 0, 700)], { signal: stop.signal })).rejects.toThrow("enough");
    const next = queue.send("t", [record(3, 0, 200)], call);
    stop.abort(new Error("enough"));
    await Promise.all([waiting, sending, next]);
    expect(await readAll(queue)).toEqual([1, 3]);
  });

  it("segments go when all groups have settled them or their records are too old", async () => {
    const { world, disk, queue } = await place();
    const logs = async () => (await disk.list()).length;
    for (const group of ["a", "b"]) await queue.reader(at(group))[Symbol.asyncDispose]();
    for (let n = 0; n < 200; n += 1) await queue.send("t", [record(n)], call);
    await readAll(queue, "a");
    await world.pass(6_000);
    expect(await logs()).toBeGreaterThan(5);
    await readAll(queue, "b");
    await world.pass(6_000);
    expect(await logs()).toBe(1);
    for (let n = 0; n < 200; n += 1) await queue.send("t", [record(n, 1)], call);
    expect(await logs()).toBeGreaterThan(5);
    await world.pass(70_000);
    expect(await logs()).toBe(1);
  });

  it("progress reaches the disk without a sync of its own", async () => {
    const { world, disk, queue } = await place();
    await queue.send("t", [record(1)], call);
    await readAll(queue);
    const [writes, syncs] = [disk.calls.get("write") ?? 0, disk.calls.get("datasync") ?? 0];
    await world.pass(150);
    expect(disk.calls.get("write")).toBe(writes + 1);
    expect(disk.calls.get("datasync")).toBe(syncs);
  });
});
