import assert from "node:assert/strict";
import {
  Double,
  Json,
  type Point,
  type RangeQuery,
  type TimeseriesStore,
  type Value,
  type WindowPoint,
} from "../src/index.ts";
import { typedValues } from "./attribute-store.ts";
import { call, describeStore, refuseAborted, type StoreCase, type StoreKit } from "./store-kit.ts";

const entity = { entityType: "DEVICE", id: "5c1f5fc0-0000-4000-8000-000000000001" } as const;
const other = { entityType: "DEVICE", id: "5c1f5fc0-0000-4000-8000-000000000002" } as const;

type Case = StoreCase<TimeseriesStore>;
const test = (name: string, body: (store: TimeseriesStore) => Promise<void>): Case => ({
  name,
  run: ({ store }) => body(store),
});

const save = (store: TimeseriesStore, ts: number, values: Record<string, Value>, ttlMs?: number) =>
  store.append([{ entity, ts, values }], ttlMs === undefined ? call : { ...call, ttlMs });

async function read(store: TimeseriesStore, query: Partial<RangeQuery> = {}): Promise<WindowPoint[]> {
  const all: WindowPoint[] = [];
  const base = { entity, keys: ["k"], from: 0, to: 1_000_000, limit: 100_000, order: "asc" as const };
  for await (const page of store.range({ ...base, ...query }, call)) all.push(...page);
  return all;
}
const times = async (store: TimeseriesStore, query?: Partial<RangeQuery>) =>
  (await read(store, query)).map(({ ts }) => ts);
const latest = async (store: TimeseriesStore): Promise<Point | undefined> =>
  (await store.latest(entity, ["k"], call))[0];

async function windows(store: TimeseriesStore, fn: NonNullable<RangeQuery["aggregate"]>["fn"], bounds: number[]) {
  const found = await read(store, { limit: 1, order: "desc", aggregate: { fn, bounds } });
  return found.map(({ ts, value, count }) => [ts, value, count]);
}

const writing: Case[] = [
  test("T-01 the same key and ts again is one point: the later write wins", async (store) => {
    await save(store, 100, { k: 1 });
    await save(store, 100, { k: "two" });
    assert.deepEqual(await read(store), [{ key: "k", ts: 100, value: "two" }]);
    assert.deepEqual(await latest(store), { key: "k", ts: 100, value: "two" });
  }),
  test("T-01 the later of two writes in one call wins", async (store) => {
    await store.append(
      [
        { entity, ts: 5, values: { k: 1 } },
        { entity, ts: 5, values: { k: 2 } },
      ],
      call,
    );
    assert.deepEqual(await read(store), [{ key: "k", ts: 5, value: 2 }]);
  }),
  test("T-02 an older point does not replace the latest value; the history has both", async (store) => {
    await save(store, 100, { k: "new" });
    await save(store, 50, { k: "old" });
    assert.deepEqual(await latest(store), { key: "k", ts: 100, value: "new" });
    assert.deepEqual(await times(store), [50, 100]);
  }),
  test("values keep their type exactly, in the history and as latest", async (store) => {
    await save(store, 7, typedValues);
    const keys = Object.keys(typedValues);
    const byKey = (points: readonly Point[]) => Object.fromEntries(points.map(({ key, value }) => [key, value]));
    assert.deepStrictEqual(byKey(await store.latest(entity, keys, call)), typedValues);
    assert.deepStrictEqual(byKey(await read(store, { keys })), typedValues);
  }),
  test("a series may change its type", async (store) => {
    const values: Value[] = [1, "x", new Double(2), true, new Json("[1]"), 2n ** 62n, 0.5];
    for (const [ts, k] of values.entries()) await save(store, ts, { k });
    assert.deepStrictEqual(
      (await read(store)).map(({ value }) => value),
      values,
    );
  }),
  test("any safe integer is a time, also a negative one", async (store) => {
    const all = [Number.MIN_SAFE_INTEGER, -5, 0, Number.MAX_SAFE_INTEGER - 1];
    for (const ts of all) await save(store, ts, { k: ts });
    assert.deepEqual(await times(store, { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER }), all);
    assert.equal((await latest(store))?.ts, Number.MAX_SAFE_INTEGER - 1);
  }),
  test("points out of order are read in order", async (store) => {
    const shuffled = Array.from({ length: 600 }, (_, at) => (at * 337) % 600);
    for (let at = 0; at < 600; at += 50) {
      await store.append(
        shuffled.slice(at, at + 50).map((ts) => ({ entity, ts, values: { k: ts } })),
        call,
      );
    }
    assert.deepEqual(
      await times(store),
      Array.from({ length: 600 }, (_, ts) => ts),
    );
  }),
  test("many concurrent calls are all there when they have resolved", async (store) => {
    await Promise.all(Array.from({ length: 500 }, (_, ts) => save(store, ts, { k: ts, [`k${ts % 3}`]: ts })));
    assert.equal((await times(store)).length, 500);
    assert.equal((await store.latest(entity, "all", call)).length, 4);
  }),
  test("an empty call resolves", async (store) => {
    await store.append([], call);
    await save(store, 1, {});
    assert.deepEqual(await store.latest(entity, "all", call), []);
  }),
  test("points leave the history when their time to live has passed; others stay", async (store) => {
    const now = Date.now();
    await save(store, now, { k: 1 }, 300);
    await save(store, now, { k2: 1 }, 3_600_000);
    await save(store, now, { k3: 1 });
    const range = { from: 0, to: now + 1000 };
    const deadline = Date.now() + 1800;
    while ((await times(store, range)).length > 0) {
      assert.ok(Date.now() < deadline, "still there");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(await times(store, { ...range, keys: ["k2", "k3"] }), [now, now]);
  }),
];

const reading: Case[] = [
  test("latest leaves out keys without a value; all means all", async (store) => {
    await save(store, 1, { a: 1, b: 2 });
    assert.deepEqual(
      (await store.latest(entity, ["none", "b"], call)).map(({ key }) => key),
      ["b"],
    );
    assert.deepEqual((await store.latest(entity, "all", call)).map(({ key }) => key).sort(), ["a", "b"]);
    assert.deepEqual(await store.latest(other, "all", call), []);
  }),
  test("T-03 from is inclusive, to is exclusive", async (store) => {
    for (const ts of [99, 100, 150, 200]) await save(store, ts, { k: 1 });
    assert.deepEqual(await times(store, { from: 100, to: 200 }), [100, 150]);
    assert.deepEqual(await times(store, { from: 100, to: 200, order: "desc" }), [150, 100]);
    assert.deepEqual(await times(store, { from: 100, to: 100 }), []);
  }),
  test("T-04 the limit is per key and takes the newest when descending", async (store) => {
    for (let ts = 1; ts <= 5; ts++) await save(store, ts, { k: ts, b: ts });
    const found = await read(store, { keys: ["k", "b", "none"], limit: 2, order: "desc" });
    assert.deepEqual(
      found.map(({ key, ts }) => [key, ts]),
      [
        ["k", 5],
        ["k", 4],
        ["b", 5],
        ["b", 4],
      ],
    );
    assert.deepEqual(await times(store, { limit: 2 }), [1, 2]);
  }),
  test("long ranges come in pages, in order, whole", async (store) => {
    for (let at = 0; at < 5000; at += 500) {
      await store.append(
        Array.from({ length: 500 }, (_, i) => ({ entity, ts: at + i, values: { k: at + i } })),
        call,
      );
    }
    let pages = 0;
    for await (const page of store.range(
      { entity, keys: ["k"], from: 0, to: 9999, limit: 99_999, order: "asc" },
      call,
    )) {
      pages++;
      assert.ok(page.length <= 2000, "a page is bounded");
    }
    assert.ok(pages > 1);
    assert.deepEqual(
      await times(store),
      Array.from({ length: 5000 }, (_, ts) => ts),
    );
    assert.deepEqual(
      await times(store, { order: "desc", limit: 3000 }),
      Array.from({ length: 3000 }, (_, at) => 4999 - at),
    );
    assert.deepEqual(await times(store, { from: 1234, to: 1240 }), [1234, 1235, 1236, 1237, 1238, 1239]);
  }),
  test("a range may be left early", async (store) => {
    await store.append(
      Array.from({ length: 3000 }, (_, ts) => ({ entity, ts, values: { k: ts } })),
      call,
    );
    for await (const page of store.range({ entity, keys: ["k"], from: 0, to: 9999, limit: 9999, order: "asc" }, call)) {
      assert.equal(page[0]?.ts, 0);
      break;
    }
  }),
  test("calls with an aborted signal reject with its reason", async (store) => {
    const query = { entity, keys: ["k"], from: 0, to: 1, limit: 1, order: "asc" } as const;
    await refuseAborted(
      (call) => store.append([{ entity, ts: 1, values: { k: 1 } }], call),
      (call) => store.latest(entity, "all", call),
      (call) => store.range(query, call)[Symbol.asyncIterator]().next(),
      (call) => store.remove({ ...query, latest: "keep" }, call),
      (call) => store.forget([entity], call),
    );
  }),
];

const aggregating: Case[] = [
  test("T-05 AVG: each window's point lies in its middle, the last window is cut", async (store) => {
    for (const [ts, k] of [
      [0, 1],
      [999, 2],
      [1000, 10],
      [1999, 20],
      [2000, 5],
      [2499, 6],
      [2500, 100],
    ] as const)
      await save(store, ts, { k });
    assert.deepStrictEqual(await windows(store, "AVG", [0, 1000, 2000, 2500]), [
      [500, 1.5, 2],
      [1500, new Double(15), 2],
      [2250, 5.5, 2],
    ]);
  }),
  test("T-06 empty windows are missing; limit and order are ignored", async (store) => {
    for (const ts of [100, 2100]) await save(store, ts, { k: 1 });
    assert.deepEqual(
      (await windows(store, "COUNT", [0, 1000, 2000, 3000])).map(([ts]) => ts),
      [500, 2500],
    );
  }),
  test("T-07 SUM stays long over longs only, AVG is a double", async (store) => {
    await save(store, 1, { k: 1 });
    await save(store, 2, { k: 2 });
    assert.deepStrictEqual(await windows(store, "SUM", [0, 10]), [[5, 3, 2]]);
    await save(store, 3, { k: 2.5 });
    assert.deepStrictEqual(await windows(store, "SUM", [0, 10]), [[5, 5.5, 3]]);
    await save(store, 2, { k: 2.5 });
    assert.deepStrictEqual(await windows(store, "SUM", [0, 10]), [[5, new Double(6), 3]]);
  }),
  test("MIN and MAX are of the numbers if there are any, doubles beside doubles, else of the texts", async (store) => {
    for (const [ts, k] of [
      [1, "zz"],
      [2, new Double(3)],
      [3, 7],
      [4, "aa"],
      [11, "b"],
      [12, "a"],
    ] as const)
      await save(store, ts, { k });
    assert.deepStrictEqual(await windows(store, "MIN", [0, 10, 20]), [
      [5, new Double(3), 4],
      [15, "a", 2],
    ]);
    assert.deepStrictEqual(await windows(store, "MAX", [0, 10, 20]), [
      [5, new Double(7), 4],
      [15, "b", 2],
    ]);
  }),
  test("SUM and AVG of a window without numbers are zero", async (store) => {
    await save(store, 1, { k: "x" });
    assert.deepStrictEqual(await windows(store, "SUM", [0, 10]), [[5, 0, 1]]);
    assert.deepStrictEqual(await windows(store, "AVG", [0, 10]), [[5, new Double(0), 1]]);
  }),
  test("COUNT counts every point, of whatever type", async (store) => {
    for (const [ts, k] of [1, "x", true, new Json("{}"), 2.5].entries()) await save(store, ts, { k });
    assert.deepStrictEqual(await windows(store, "COUNT", [0, 3, 6]), [
      [1, 3, 3],
      [4, 2, 2],
    ]);
  }),
  test("windows need not be of one length nor begin at the first point", async (store) => {
    for (let ts = 0; ts < 100; ts++) await save(store, ts, { k: 1 });
    assert.deepStrictEqual(await windows(store, "SUM", [10, 15, 40, 41]), [
      [12, 5, 5],
      [27, 25, 25],
      [40, 1, 1],
    ]);
  }),
  test("an aggregation over a long history counts each point once", async (store) => {
    for (let at = 0; at < 6000; at += 1000) {
      await store.append(
        Array.from({ length: 1000 }, (_, i) => ({ entity, ts: at + i, values: { k: 1 } })),
        call,
      );
    }
    assert.deepStrictEqual(await windows(store, "SUM", [0, 2500, 6000]), [
      [1250, 2500, 2500],
      [4250, 3500, 3500],
    ]);
  }),
];

const remove = (store: TimeseriesStore, from: number, to: number, mode: "remove" | "keep" | "rewrite") =>
  store.remove({ entity, keys: ["k"], from, to, latest: mode }, call);

const removing: Case[] = [
  test("remove takes the range, to exclusive, of these keys only", async (store) => {
    for (let ts = 0; ts < 600; ts++) await save(store, ts, { k: ts, other: ts });
    await remove(store, 100, 500, "keep");
    assert.deepEqual(await times(store), [
      ...Array.from({ length: 100 }, (_, ts) => ts),
      ...Array.from({ length: 100 }, (_, at) => 500 + at),
    ]);
    assert.equal((await times(store, { keys: ["other"] })).length, 600);
    await save(store, 200, { k: 1 });
    assert.equal((await times(store)).length, 201);
  }),
  test("T-15 a latest value inside is replaced by the newest remaining point", async (store) => {
    for (const ts of [100, 200, 300]) await save(store, ts, { k: ts });
    await remove(store, 200, 400, "rewrite");
    assert.deepEqual(await latest(store), { key: "k", ts: 100, value: 100 });
    await remove(store, 0, 400, "rewrite");
    assert.equal(await latest(store), undefined);
  }),
  test("T-16 a latest value inside may be kept, or dropped", async (store) => {
    await save(store, 100, { k: 1 });
    await remove(store, 0, 200, "keep");
    assert.deepEqual(await latest(store), { key: "k", ts: 100, value: 1 });
    await remove(store, 0, 200, "remove");
    assert.equal(await latest(store), undefined);
    await save(store, 50, { k: 2 });
    assert.equal((await latest(store))?.ts, 50);
  }),
  test("a latest value outside stays", async (store) => {
    for (const ts of [100, 200]) await save(store, ts, { k: ts });
    await remove(store, 0, 200, "remove");
    assert.deepEqual(await latest(store), { key: "k", ts: 200, value: 200 });
  }),
  test("forget drops everything of these entities and nothing else; they may come again", async (store) => {
    await save(store, 1, { k: 1, b: 2 });
    await store.append([{ entity: other, ts: 1, values: { k: 1 } }], call);
    await store.forget([entity], call);
    await store.forget([entity], call);
    assert.deepEqual(await store.latest(entity, "all", call), []);
    assert.deepEqual(await times(store), []);
    assert.deepEqual(await times(store, { entity: other }), [1]);
    await save(store, 2, { k: 3 });
    assert.deepEqual(await read(store), [{ key: "k", ts: 2, value: 3 }]);
  }),
];

const restarts: Case[] = [
  {
    name: "what was acknowledged is there after a restart: history, latest, types, removals",
    restarts: true,
    run: async ({ store, reopen }) => {
      await save(store, 7, typedValues);
      for (let ts = 0; ts < 700; ts++) await save(store, ts, { k: ts, gone: ts });
      await remove(store, 100, 200, "keep");
      await store.remove({ entity, keys: ["gone"], from: 0, to: 1000, latest: "remove" }, call);
      await store.append([{ entity: other, ts: 1, values: { k: 1 } }], call);
      await store.forget([other], call);
      await save(store, 50, { k: "later" });
      const again = await reopen?.();
      assert.ok(again);
      assert.equal((await times(again)).length, 600);
      assert.equal((await read(again, { from: 50, to: 51 }))[0]?.value, "later");
      assert.deepEqual(await latest(again), { key: "k", ts: 699, value: 699 });
      assert.deepEqual(await times(again, { keys: ["gone"] }), []);
      assert.deepEqual(await again.latest(other, "all", call), []);
      const keys = Object.keys(typedValues);
      const found = Object.fromEntries((await again.latest(entity, keys, call)).map(({ key, value }) => [key, value]));
      assert.deepStrictEqual(found, typedValues);
      await save(again, 700, { k: 700 });
      assert.equal((await times(again)).length, 601);
    },
  },
];

export const timeseriesStoreCases: readonly Case[] = [...writing, ...reading, ...aggregating, ...removing, ...restarts];

/** The specification of `TimeseriesStore`; each sentence of its interface is the name of a test. */
export function describeTimeseriesStore(name: string, kit: StoreKit<TimeseriesStore>): void {
  describeStore(`${name}: time-series store`, timeseriesStoreCases, kit);
}
