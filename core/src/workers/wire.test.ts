import { statSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import {
  type BatchFault as Batch,
  BatchFault,
  EntityStore,
  Fault,
  type OutRecord,
  QueueBackend,
  TimeseriesStore,
} from "@heddle/plugin-sdk";
import { memoryQueue, realWorld } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { OverSocket } from "../../testing/over-socket.ts";
import { frameBytes } from "./frame-socket.ts";

const soon = (ms = 10_000) => ({ signal: AbortSignal.timeout(ms) });
const spec = { name: "things", id: "id", indexes: [] } as const;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** An entity store whose `get` does what the test wants. */
const gets = (get: (signal: AbortSignal) => Promise<any>): EntityStore => ({
  collection: () => ({
    get: (_ids, { signal }) => get(signal),
    find: () => Promise.reject(new Error("not asked for")),
    put: async (items) => items.map(({ value }) => ({ value, version: 1 })),
    remove: async (ids) => ids.length,
  }),
});

const rejection = (of: Promise<unknown>): Promise<any> =>
  of.then(
    () => expect.fail("resolved, but had to reject"),
    (error: unknown) => error,
  );

describe("calls from a worker to its parent", () => {
  it("bring faults back as they were, also those of a batch, also what is no fault", async () => {
    const item = new Fault("conflict", "store.unique", "taken", { data: { fields: ["name"] } });
    const faults = [
      new Fault("exhausted", "x.busy", "later", { retryAfterMs: 250, data: { limit: 3 } }),
      new BatchFault("store.batch", "1 of 2", [{ index: 1, fault: item }]),
      new TypeError("a defect"),
    ];
    await using socket = await OverSocket.of(EntityStore, { value: gets(() => Promise.reject(faults.shift())) });
    const things = (await socket.worker()).collection(spec);
    const busy = await rejection(things.get(["a"], soon()));
    expect(busy).toMatchObject({ kind: "exhausted", code: "x.busy", message: "later", retryAfterMs: 250 });
    expect([busy.data, busy.retryable]).toEqual([{ limit: 3 }, true]);
    const batch: Batch = await rejection(things.get(["a"], soon()));
    expect(batch).toMatchObject({ code: "store.batch", kind: "conflict", message: "1 of 2" });
    expect(batch.failures.map(({ index, fault }) => [index, fault.code, fault.data])).toEqual([
      [1, "store.unique", { fields: ["name"] }],
    ]);
    expect(await rejection(things.get(["a"], soon()))).toMatchObject({ kind: "internal", message: "a defect" });
  });

  it("are taken back on the other side when their signal aborts", async () => {
    let heard: AbortSignal | undefined;
    await using socket = await OverSocket.of(EntityStore, {
      value: gets((signal) => {
        heard = signal;
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      }),
    });
    const things = (await socket.worker()).collection(spec);
    const stop = new AbortController();
    const waiting = rejection(things.get(["a"], { signal: stop.signal }));
    while (heard === undefined) await pause(2);
    const reason = new Error("enough");
    stop.abort(reason);
    expect(await waiting).toBe(reason);
    for (let i = 0; i < 100 && !heard.aborted; i++) await pause(5);
    expect(heard.aborted).toBe(true);
  });

  it("fail when the connection is cut, and so do later ones; the other worker goes on", async () => {
    let asked = 0;
    await using socket = await OverSocket.of(EntityStore, {
      value: gets(() => (++asked === 1 ? new Promise(() => {}) : Promise.resolve([]))),
    });
    const sockets: Socket[] = [];
    const between = createServer((near) => {
      const far = connect({ path: socket.path });
      sockets.push(near, far);
      near.pipe(far).pipe(near);
    });
    const path = join(socket.folder, "between");
    await new Promise<void>((resolve) => between.listen({ path }, resolve));
    const cut = (await socket.worker(path)).collection(spec);
    const other = (await socket.worker()).collection(spec);
    const waiting = rejection(cut.get(["a"], soon()));
    while (asked === 0) await pause(2);
    for (const one of sockets) one.destroy();
    expect(await waiting).toMatchObject({ kind: "unavailable", code: "workers.closed" });
    expect(await rejection(cut.get(["a"], soon()))).toMatchObject({ code: "workers.closed" });
    expect(socket.callers[0]?.closed.aborted).toBe(true);
    expect(await other.get(["a"], soon())).toEqual([]);
    between.close();
  });

  it("refuse what is larger than a frame, each way, and the connection stays", { timeout: 60_000 }, async () => {
    const big = "x".repeat(frameBytes);
    const answers = [[{ value: { id: "a", text: big }, version: 1 }], []];
    await using socket = await OverSocket.of(EntityStore, { value: gets(async () => answers.shift()) });
    const things = (await socket.worker()).collection<{ id: string; text: string }>(spec);
    const refused = { kind: "invalid", code: "workers.frame-too-large" };
    const item = { value: { id: "a", text: big }, expect: "any" } as const;
    expect(await rejection(things.put([item], soon()))).toMatchObject(refused);
    expect(await rejection(things.get(["a"], soon()))).toMatchObject(refused);
    expect(await things.get(["a"], soon())).toEqual([]);
  });

  it("may use the socket only as its owner", async () => {
    await using socket = await OverSocket.of(EntityStore, { value: gets(async () => []) });
    expect(statSync(socket.path).mode & 0o777).toBe(0o600);
    expect(statSync(socket.folder).mode & 0o777).toBe(0o700);
  });

  it("tell the health of a back-end", async () => {
    await using socket = await OverSocket.of(EntityStore, { value: gets(async () => []) });
    expect(await (await socket.backEnds()).health("it")).toEqual({ state: "degraded", detail: "in the parent" });
  });
});

describe("streams to a worker", () => {
  it("go on only as fast as they are read, and end when they are left", async () => {
    let made = 0;
    let ended = false;
    const value = {
      async *range() {
        try {
          for (;;) yield [{ key: "k", ts: made++, value: 1 }];
        } finally {
          ended = true;
        }
      },
    } as unknown as TimeseriesStore;
    await using socket = await OverSocket.of(TimeseriesStore, { value });
    const store = await socket.worker();
    const query = {
      entity: { entityType: "DEVICE", id: "d" },
      keys: ["k"],
      from: 0,
      to: 1,
      limit: 1,
      order: "asc",
    } as const;
    let read = 0;
    for await (const page of store.range(query, soon())) {
      expect(page[0]?.ts).toBe(read++);
      await pause(2);
      expect(made - read).toBeLessThanOrEqual(3);
      if (read === 20) break;
    }
    for (let i = 0; i < 100 && !ended; i++) await pause(5);
    expect(ended).toBe(true);
  });
});

describe("the queue of the parent", () => {
  const record = (n: number, bytes: number): OutRecord => ({
    partition: 0,
    key: `k${n}`,
    body: Buffer.alloc(bytes, n),
  });

  it("takes and gives more than one frame carries, whole and in order", { timeout: 60_000 }, async () => {
    const queue = memoryQueue(realWorld()).client("one");
    await using socket = await OverSocket.of(QueueBackend, { value: queue });
    const remote = await socket.worker();
    await remote.ensure([{ name: "big", partitions: 1, retainMs: 60_000 }], soon());
    const size = Math.min(1_000_000, queue.limits.recordBytes);
    const count = Math.ceil((frameBytes * 1.2) / size);
    const records = Array.from({ length: count }, (_, n) => record(n, size));
    await remote.send("big", records, soon(30_000));
    await using reader = remote.reader({ topic: "big", group: "g", partition: 0 });
    const keys: string[] = [];
    while (keys.length < count) {
      const batch = await reader.read(count, soon());
      keys.push(...batch.records.map(({ key }) => key));
      await batch.settle(batch.records.length, soon());
    }
    expect(keys).toEqual(records.map(({ key }) => key));
    queue[Symbol.asyncDispose]();
  });

  it("loses nothing that was on its way to a read that was given up", async () => {
    const queue = memoryQueue(realWorld()).client("one");
    await using socket = await OverSocket.of(QueueBackend, { value: queue });
    const remote = await socket.worker();
    await remote.ensure([{ name: "t", partitions: 1, retainMs: 60_000 }], soon());
    await using reader = remote.reader({ topic: "t", group: "g", partition: 0 });
    const seen: string[] = [];
    for (let n = 0; n < 60; n++) {
      const stop = new AbortController();
      const read = reader.read(10, { signal: stop.signal }).catch(() => undefined);
      await remote.send("t", [record(n, 10)], soon());
      // Somewhere between the answer's departure and its arrival.
      if (n % 3 === 0) setImmediate(() => stop.abort(new Error("given up")));
      else if (n % 3 === 1) stop.abort(new Error("given up"));
      const batch = (await read) ?? (await reader.read(10, soon()));
      seen.push(...batch.records.map(({ key }) => key));
      await batch.settle(batch.records.length, soon());
    }
    expect(seen).toEqual(Array.from({ length: 60 }, (_, n) => `k${n}`));
  });
});
