import assert from "node:assert/strict";
import { type Attribute, type AttributeStore, Double, Json, type Value } from "../src/index.ts";
import { call, describeStore, refuseAborted, type StoreCase, type StoreKit } from "./store-kit.ts";

const entity = { entityType: "DEVICE", id: "5c1f5fc0-0000-4000-8000-000000000001" } as const;
const other = { entityType: "DEVICE", id: "5c1f5fc0-0000-4000-8000-000000000002" } as const;
const scope = "SERVER_SCOPE";

type Case = StoreCase<AttributeStore>;
const test = (name: string, body: (store: AttributeStore) => Promise<void>): Case => ({
  name,
  run: ({ store }) => body(store),
});
const put = (store: AttributeStore, values: Record<string, Value>, ts = 1000) =>
  store.put({ entity, scope, values, ts }, call);
const read = async (store: AttributeStore, keys: readonly string[] | "all" = "all") =>
  Object.fromEntries((await store.get(entity, scope, keys, call)).map(({ key, value }: Attribute) => [key, value]));

/** One value of every type, and the ones that are easily mistaken for another. */
export const typedValues: Record<string, Value> = {
  boolean: true,
  no: false,
  long: 42,
  negative: -7,
  zero: 0,
  safe: Number.MAX_SAFE_INTEGER,
  big: 9_223_372_036_854_775_807n,
  fraction: 21.57,
  tiny: 1e-9,
  huge: 1.5e300,
  integral: new Double(25),
  text: "ü’😀 'quoted'",
  empty: "",
  digits: "0012",
  json: new Json('{"b":1.0,"a":[1,2.50]}'),
};

export const attributeStoreCases: readonly Case[] = [
  test("values keep their type exactly", async (store) => {
    await put(store, typedValues);
    assert.deepStrictEqual(await read(store), typedValues);
  }),
  test("an upsert replaces value, type and time; other keys stay", async (store) => {
    await put(store, { a: 1, b: "x" }, 1000);
    await put(store, { a: "one" }, 2000);
    const found = await store.get(entity, scope, ["a", "b"], call);
    assert.deepEqual(found, [
      { key: "a", value: "one", lastUpdateTs: 2000 },
      { key: "b", value: "x", lastUpdateTs: 1000 },
    ]);
  }),
  test("keys without a value are left out", async (store) => {
    await put(store, { a: 1 });
    assert.deepEqual(await read(store, ["none", "a"]), { a: 1 });
    assert.deepEqual(await store.get(other, scope, "all", call), []);
  }),
  test("scopes and entities do not see each other", async (store) => {
    await put(store, { a: 1 });
    await store.put({ entity, scope: "SHARED_SCOPE", values: { a: 2 }, ts: 1 }, call);
    await store.put({ entity: other, scope, values: { a: 3 }, ts: 1 }, call);
    assert.deepEqual(await read(store), { a: 1 });
  }),
  test("the version of an entity grows with every write", async (store) => {
    const first = await put(store, { a: 1 });
    const second = await put(store, { a: 1 });
    const third = await store.put({ entity, scope: "CLIENT_SCOPE", values: { b: 1 }, ts: 1 }, call);
    assert.ok(first < second && second < third);
  }),
  test("the version grows through removals", async (store) => {
    const written = await put(store, { a: 1 });
    const { version } = await store.remove(entity, scope, ["a"], call);
    const again = await put(store, { a: 2 });
    assert.ok(written < version && version < again, `${written} < ${version} < ${again}`);
  }),
  test("the version grows through forgetting", async (store) => {
    const written = await put(store, { a: 1 });
    await store.forget([entity], call);
    assert.ok((await put(store, { a: 2 })) > written);
  }),
  test("concurrent writes get different versions, and the last one stands", async (store) => {
    const versions = await Promise.all(Array.from({ length: 50 }, (_, at) => put(store, { a: at })));
    assert.equal(new Set(versions).size, 50);
    const last = versions.indexOf(Math.max(...versions));
    assert.deepEqual(await read(store), { a: last });
  }),
  test("remove answers the keys that existed", async (store) => {
    await put(store, { a: 1, b: 2, c: 3 });
    assert.deepEqual((await store.remove(entity, scope, ["b", "none", "c"], call)).removed.sort(), ["b", "c"]);
    assert.deepEqual(await read(store), { a: 1 });
  }),
  test("forget drops all scopes of these entities and nothing else, and may be repeated", async (store) => {
    await put(store, { a: 1 });
    await store.put({ entity, scope: "SHARED_SCOPE", values: { a: 2 }, ts: 1 }, call);
    await store.put({ entity: other, scope, values: { a: 3 }, ts: 1 }, call);
    await store.forget([entity], call);
    await store.forget([entity], call);
    assert.deepEqual(await read(store), {});
    assert.deepEqual(await store.get(entity, "SHARED_SCOPE", "all", call), []);
    assert.equal((await store.get(other, scope, "all", call)).length, 1);
  }),
  test("calls with an aborted signal reject with its reason", async (store) => {
    await refuseAborted(
      (call) => store.get(entity, scope, "all", call),
      (call) => store.put({ entity, scope, values: { a: 1 }, ts: 1 }, call),
      (call) => store.remove(entity, scope, ["a"], call),
      (call) => store.forget([entity], call),
    );
  }),
  {
    name: "what was acknowledged is there after a restart, and versions go on growing",
    restarts: true,
    run: async ({ store, reopen }) => {
      await put(store, { ...typedValues, gone: 1 });
      const { version } = await store.remove(entity, scope, ["gone"], call);
      const again = await reopen?.();
      assert.ok(again);
      assert.deepStrictEqual(await read(again), typedValues);
      assert.ok((await put(again, { a: 1 })) > version);
    },
  },
];

/** The specification of `AttributeStore`; each sentence of its interface is the name of a test. */
export function describeAttributeStore(name: string, kit: StoreKit<AttributeStore>): void {
  describeStore(`${name}: attribute store`, attributeStoreCases, kit);
}
