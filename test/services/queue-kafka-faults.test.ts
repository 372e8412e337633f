import { setTimeout as pause } from "node:timers/promises";
import { isFault } from "@heddle/plugin-sdk";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterEach, expect, it } from "vitest";
import type { KafkaQueue } from "../../plugins/queue-kafka/src/kafka-queue.ts";
import { KafkaRoom, never } from "./queue-kafka-setup.ts";
import { type Service, sharedService } from "./service.ts";

const kafka = sharedService("kafka");
const partitions = 12;
const soon = (ms = 30_000) => ({ signal: AbortSignal.timeout(ms) });
const config = { ackTimeout: "20s", positionDelay: "200ms", fetchWait: "50ms", recordBytes: "100KB" };

/** Sends numbered records to every partition until stopped, each caller its own series, the next after the last. */
class Load {
  readonly acknowledged: string[] = [];
  readonly unsure = new Set<string>();
  readonly faults = new Map<string, number>();
  slowest = 0;
  #stop = false;
  readonly #done: Promise<unknown>;

  constructor(queue: KafkaQueue, callers = 24) {
    this.#done = Promise.all(Array.from({ length: callers }, (_, caller) => this.#run(queue, caller)));
  }

  async #run(queue: KafkaQueue, caller: number): Promise<void> {
    for (let n = 0; !this.#stop; n += 1) {
      const key = `c${caller}`;
      const name = `${key}:${n}`;
      const began = performance.now();
      try {
        const body = Buffer.from(name);
        await queue.send("jobs", [{ partition: caller % partitions, key, body }], { signal: never });
        this.acknowledged.push(name);
      } catch (error) {
        this.unsure.add(name);
        const code = isFault(error) ? error.code : String(error);
        this.faults.set(code, (this.faults.get(code) ?? 0) + 1);
        await pause(100);
      }
      this.slowest = Math.max(this.slowest, performance.now() - began);
    }
  }

  async stop(): Promise<void> {
    this.#stop = true;
    await this.#done;
  }
}

/** Everything that a fresh group reads, in order per partition. */
async function everything(queue: KafkaQueue): Promise<string[]> {
  const ends = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    key: "end",
    body: Buffer.from("end"),
  }));
  await queue.send("jobs", ends, soon());
  const parts = ends.map(async ({ partition }) => {
    await using reader = queue.reader({ topic: "jobs", group: "check", partition });
    const names: string[] = [];
    for (;;) {
      const { records, settle } = await reader.read(1_000, soon(60_000));
      for (const { key, body } of records) {
        if (key === "end") return names;
        names.push(Buffer.from(body).toString());
      }
      await settle(records.length, soon());
    }
  });
  return (await Promise.all(parts)).flat();
}

/** Nothing acknowledged is missing, nothing that was not named unsure came twice, series keep their order. */
function proven(load: Load, seen: readonly string[]): void {
  const counts = new Map<string, number>();
  for (const name of seen) counts.set(name, (counts.get(name) ?? 0) + 1);
  expect(load.acknowledged.filter((name) => !counts.has(name))).toEqual([]);
  expect([...counts].filter(([name, count]) => count > 1 && !load.unsure.has(name))).toEqual([]);
  const last = new Map<string, number>();
  const sure = new Set(load.acknowledged);
  for (const name of seen) {
    if (!sure.has(name)) continue;
    const [key, n] = name.split(":") as [string, string];
    expect(Number(n), name).toBeGreaterThan(last.get(key) ?? -1);
    last.set(key, Number(n));
  }
}

async function opened(room: KafkaRoom): Promise<KafkaQueue> {
  const queue = await room.started();
  await queue.ensure([{ name: "jobs", partitions, retainMs: 3_600_000 }], soon());
  return queue;
}

async function untilAcknowledged(load: Load, more: number): Promise<void> {
  const goal = load.acknowledged.length + more;
  const deadline = performance.now() + 60_000;
  while (load.acknowledged.length < goal) {
    if (performance.now() > deadline) throw new Error(`${load.acknowledged.length} acknowledged, no more come`);
    await pause(50);
  }
}

describeNeeding("kafka", kafka?.where, (where) => {
  const service = kafka as Service;

  afterEach(async () => {
    // A test that failed half way must not leave the service frozen.
    for (const node of service.nodes) await service.thaw(node).catch(() => {});
    await service.start();
  });

  it("a broker is killed under load: nothing acknowledged is lost, order holds, sends go on", async () => {
    await using room = new KafkaRoom(where, config);
    await using queue = await opened(room);
    const load = new Load(queue);
    await untilAcknowledged(load, 2_000);
    await service.kill(2);
    await untilAcknowledged(load, 2_000);
    await service.start();
    await untilAcknowledged(load, 2_000);
    await load.stop();
    const seen = await everything(queue);
    proven(load, seen);
    console.log("broker killed", {
      sent: load.acknowledged.length,
      unsure: load.unsure.size,
      faults: load.faults,
      slowest: load.slowest,
    });
    expect(queue.health().state).toBe("up");
  }, 120_000);

  it("a reader goes on with the new leader when a broker is killed", async () => {
    await using room = new KafkaRoom(where, config);
    await using queue = await opened(room);
    const readers = Array.from({ length: partitions }, (_, partition) =>
      queue.reader({ topic: "jobs", group: "on", partition }),
    );
    const reading = async (round: string) => {
      const records = readers.map((_, partition) => ({
        partition,
        key: "k",
        body: Buffer.from(`${round}-${partition}`),
      }));
      await queue.send("jobs", records, soon());
      for (const [partition, reader] of readers.entries()) {
        const batch = await reader.read(10, soon());
        expect(batch.records.map(({ body }) => Buffer.from(body).toString())).toEqual([`${round}-${partition}`]);
        await batch.settle(1, soon());
      }
    };
    await reading("before");
    await service.kill(3);
    await reading("without");
    await service.start();
    await reading("after");
    for (const reader of readers) await reader[Symbol.asyncDispose]();
  }, 120_000);

  it("all brokers are frozen and thawed: sends end honestly, then all goes on", async () => {
    await using room = new KafkaRoom(where, { ...config, ackTimeout: "3s" });
    await using queue = await opened(room);
    const load = new Load(queue);
    await untilAcknowledged(load, 1_000);
    for (const node of service.nodes) await service.freeze(node);
    await pause(8_000);
    const began = performance.now();
    const late = queue.send("jobs", [{ partition: 0, key: "late", body: Buffer.from("late:0") }], { signal: never });
    await expect(late).rejects.toMatchObject({
      code: "queue.unavailable",
      kind: "unavailable",
      failures: [{ index: 0 }],
    });
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(queue.health().state).not.toBe("up");
    for (const node of service.nodes) await service.thaw(node);
    await untilAcknowledged(load, 1_000);
    await load.stop();
    load.unsure.add("late:0");
    const seen = await everything(queue);
    proven(load, seen);
    console.log("frozen", {
      sent: load.acknowledged.length,
      unsure: load.unsure.size,
      faults: load.faults,
      slowest: load.slowest,
    });
  }, 120_000);

  it("all connections are cut under load and healed", async () => {
    await using room = await new KafkaRoom(where, { ...config, ackTimeout: "3s" }).proxied();
    await using queue = await opened(room);
    const load = new Load(queue);
    for (let round = 0; round < 3; round += 1) {
      await untilAcknowledged(load, 500);
      room.cut();
      await pause(round * 2_500);
      room.heal();
    }
    await untilAcknowledged(load, 500);
    await load.stop();
    proven(load, await everything(queue));
    console.log("cut", {
      sent: load.acknowledged.length,
      unsure: load.unsure.size,
      faults: load.faults,
      slowest: load.slowest,
    });
  }, 120_000);

  it("all brokers are killed and started again", async () => {
    await using room = new KafkaRoom(where, { ...config, ackTimeout: "5s" });
    await using queue = await opened(room);
    const load = new Load(queue);
    await untilAcknowledged(load, 500);
    for (const node of service.nodes) await service.kill(node);
    await service.start();
    await untilAcknowledged(load, 500);
    await load.stop();
    proven(load, await everything(queue));
    console.log("restart", {
      sent: load.acknowledged.length,
      unsure: load.unsure.size,
      faults: load.faults,
      slowest: load.slowest,
    });
  }, 180_000);

  it("positions are in a group that nobody joins, and lag follows them", async () => {
    await using room = new KafkaRoom(where, config);
    await using queue = await opened(room);
    const records = Array.from({ length: 10 }, (_, i) => ({ partition: 4, key: "k", body: Buffer.from(String(i)) }));
    await queue.send("jobs", records, soon());
    expect((await queue.lag({ topic: "jobs", group: "a" }, soon()))[4]).toBe(10);
    const reader = queue.reader({ topic: "jobs", group: "a", partition: 4 });
    const batch = await reader.read(7, soon());
    await batch.settle(7, soon());
    await reader[Symbol.asyncDispose]();
    expect((await queue.lag({ topic: "jobs", group: "a" }, soon()))[4]).toBe(3);
    await room.admin(async (admin) => {
      const groupId = `${room.prefix}.a`;
      const [topic] = await admin.fetchOffsets({ groupId, topics: [`${room.prefix}.jobs`] });
      expect(topic?.partitions.find(({ partition }) => partition === 4)?.offset).toBe("7");
      const { groups } = await admin.describeGroups([groupId]);
      expect(groups.map(({ state, members }) => [state, members.length])).toEqual([["Empty", 0]]);
    });
  });

  it("what one node has settled does not come to the next one", async () => {
    await using room = new KafkaRoom(where, config);
    await using first = await opened(room);
    await using second = await opened(room);
    const records = Array.from({ length: 40 }, (_, i) => ({ partition: 0, key: "k", body: Buffer.from(String(i)) }));
    await first.send("jobs", records, soon());
    const seen: string[] = [];
    for (let turn = 0; seen.length < 40; turn += 1) {
      await using reader = [first, second][turn % 2]!.reader({ topic: "jobs", group: "a", partition: 0 });
      const batch = await reader.read(4, soon());
      seen.push(...batch.records.map(({ body }) => Buffer.from(body).toString()));
      await batch.settle(batch.records.length, soon());
    }
    expect(seen).toEqual(records.map(({ body }) => body.toString()));
  });
});
