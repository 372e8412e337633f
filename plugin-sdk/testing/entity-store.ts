import assert from "node:assert/strict";
import { type BatchFault, type Collection, Double, type EntityStore, type Query } from "../src/index.ts";
import { call, describeStore, refuseAborted, rejection, type StoreCase, type StoreKit } from "./store-kit.ts";

interface Doc {
  readonly id: string;
  readonly name?: string | null;
  readonly size?: number;
  readonly tenant?: { readonly id: string };
  readonly more?: unknown;
}

const spec = {
  name: "kit_docs",
  id: "id",
  indexes: [
    ["tenant.id", "size"],
    ["tenant.id", "name"],
  ],
  unique: [["tenant.id", "name"]],
} as const;

type Case = StoreCase<EntityStore>;
const test = (name: string, body: (docs: Collection<Doc>, store: EntityStore) => Promise<void>): Case => ({
  name,
  run: ({ store }) => body(store.collection<Doc>(spec), store),
});

const add = (docs: Collection<Doc>, ...values: Doc[]) =>
  docs.put(
    values.map((value) => ({ value, expect: "absent" as const })),
    call,
  );
const idsOf = async (docs: Collection<Doc>, query: Query) =>
  (await docs.find(query, call)).items.map(({ value }) => value.id);
const codesOf = (fault: BatchFault) => fault.failures.map((failure) => [failure.index, failure.fault.code]);

const writing: Case[] = [
  test("versions begin at 1 and grow by one with every write", async (docs) => {
    const [first] = await add(docs, { id: "a" });
    assert.equal(first?.version, 1);
    assert.equal((await docs.put([{ value: { id: "a", size: 1 }, expect: 1 }], call))[0]?.version, 2);
    assert.equal((await docs.put([{ value: { id: "a", size: 2 }, expect: "any" }], call))[0]?.version, 3);
    assert.deepEqual(await docs.get(["a"], call), [{ value: { id: "a", size: 2 }, version: 3 }]);
  }),
  test("get answers in the order of the ids, undefined where there is none", async (docs) => {
    await add(docs, { id: "a" }, { id: "b" });
    const found = await docs.get(["b", "none", "a", "b"], call);
    assert.deepEqual(
      found.map((one) => one?.value.id),
      ["b", undefined, "a", "b"],
    );
  }),
  test("T-19 another version than expected is a conflict and changes nothing", async (docs) => {
    await add(docs, { id: "a", size: 1 });
    const fault = await rejection(docs.put([{ value: { id: "a", size: 9 }, expect: 7 }], call));
    assert.deepEqual(codesOf(fault), [[0, "store.conflict"]]);
    assert.deepEqual(await docs.get(["a"], call), [{ value: { id: "a", size: 1 }, version: 1 }]);
  }),
  test("a version of a document that does not exist is a conflict", async (docs) => {
    assert.deepEqual(codesOf(await rejection(docs.put([{ value: { id: "a" }, expect: 1 }], call))), [
      [0, "store.conflict"],
    ]);
    assert.deepEqual(await docs.get(["a"], call), [undefined]);
  }),
  test("expecting absence of a document that exists is refused", async (docs) => {
    await add(docs, { id: "a", size: 1 });
    assert.deepEqual(codesOf(await rejection(add(docs, { id: "a", size: 2 }))), [[0, "store.exists"]]);
    assert.equal((await docs.get(["a"], call))[0]?.value.size, 1);
  }),
  test("of many writers that expect the same version one wins", async (docs) => {
    await add(docs, { id: "a" });
    const tries = Array.from({ length: 20 }, (_, size) => docs.put([{ value: { id: "a", size }, expect: 1 }], call));
    const outcomes = await Promise.allSettled(tries);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal((await docs.get(["a"], call))[0]?.version, 2);
  }),
  test("items fail for themselves: the others are written", async (docs) => {
    await add(docs, { id: "b" });
    const items = ["a", "b", "c"].map((id) => ({ value: { id }, expect: "absent" as const }));
    assert.deepEqual(codesOf(await rejection(docs.put(items, call))), [[1, "store.exists"]]);
    assert.deepEqual(
      (await docs.get(["a", "c"], call)).map((one) => one?.version),
      [1, 1],
    );
  }),
  test("a failing put does not fail its neighbours", async (docs) => {
    await add(docs, { id: "b" });
    const outcomes = await Promise.allSettled(["a", "b", "c", "d"].map((id) => add(docs, { id })));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled", "fulfilled"],
    );
  }),
  test("remove skips ids that do not exist and counts the others", async (docs) => {
    await add(docs, { id: "a" }, { id: "b" });
    assert.equal(await docs.remove(["a", "none"], call), 1);
    assert.equal(await docs.remove(["a"], call), 0);
    assert.deepEqual(
      (await docs.get(["a", "b"], call)).map((one) => one?.value.id),
      [undefined, "b"],
    );
  }),
  test("a removed document begins at version 1 again", async (docs) => {
    await add(docs, { id: "a" });
    await docs.put([{ value: { id: "a" }, expect: "any" }], call);
    await docs.remove(["a"], call);
    assert.equal((await add(docs, { id: "a" }))[0]?.version, 1);
  }),
  test("documents come back as they were, and changing them changes nothing stored", async (docs) => {
    const more = {
      list: [1, "two", null, { deep: true }],
      none: null,
      "dotted.key": "ü’😀",
      exact: new Double(25),
      big: 2n ** 60n,
    };
    await add(docs, { id: "a", name: 'quote " and % _', more });
    const [found] = await docs.get(["a"], call);
    assert.deepEqual(found?.value, { id: "a", name: 'quote " and % _', more });
    (found.value.more as { list: unknown[] }).list.push("changed");
    assert.deepEqual((await docs.get(["a"], call))[0]?.value.more, more);
  }),
  test("reads right after a write see it", async (docs) => {
    await add(docs, { id: "a" });
    for (let size = 0; size < 20; size++) {
      const early = docs.get(["a"], call);
      await docs.put([{ value: { id: "a", size }, expect: "any" }], call);
      assert.equal((await docs.get(["a"], call))[0]?.value.size, size);
      await early;
    }
  }),
  test("calls with an aborted signal reject with its reason", async (docs) => {
    await refuseAborted(
      (call) => docs.get(["a"], call),
      (call) => docs.find({ limit: 1 }, call),
      (call) => docs.put([{ value: { id: "a" }, expect: "any" }], call),
      (call) => docs.remove(["a"], call),
    );
  }),
];

const tenant = { id: "t1" };
const claims: Case[] = [
  test("no two documents share a unique claim; the fault names the fields", async (docs) => {
    await add(docs, { id: "a", name: "x", tenant });
    const fault: BatchFault = await rejection(add(docs, { id: "b", name: "x", tenant }));
    assert.deepEqual(codesOf(fault), [[0, "store.unique"]]);
    assert.deepEqual(fault.failures[0]?.fault.data?.["fields"], ["tenant.id", "name"]);
    assert.deepEqual(await docs.get(["b"], call), [undefined]);
  }),
  test("of many concurrent claims one gets through", async (docs) => {
    const tries = Array.from({ length: 20 }, (_, at) => add(docs, { id: `d${at}`, name: "x", tenant }));
    const outcomes = await Promise.allSettled(tries);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal((await docs.find({ where: { name: "x" }, limit: 5 }, call)).total, 1);
  }),
  test("two claims within one put: the second is refused", async (docs) => {
    const fault = await rejection(add(docs, { id: "a", name: "x", tenant }, { id: "b", name: "x", tenant }));
    assert.deepEqual(codesOf(fault), [[1, "store.unique"]]);
  }),
  test("a missing or null field claims nothing", async (docs) => {
    await add(
      docs,
      { id: "a", name: "x" },
      { id: "b", name: "x" },
      { id: "c", tenant, name: null },
      { id: "d", tenant, name: null },
    );
    assert.equal((await docs.find({ limit: 10 }, call)).total, 4);
  }),
  test("a claim is free again after a change or a removal", async (docs) => {
    await add(docs, { id: "a", name: "x", tenant });
    await docs.put([{ value: { id: "a", name: "y", tenant }, expect: 1 }], call);
    await add(docs, { id: "b", name: "x", tenant });
    await docs.remove(["b"], call);
    await add(docs, { id: "c", name: "x", tenant });
  }),
  test("a document keeps its own claim when it is written again", async (docs) => {
    await add(docs, { id: "a", name: "x", tenant });
    await docs.put([{ value: { id: "a", name: "x", tenant, size: 2 }, expect: 1 }], call);
  }),
];

const numbered = (count: number): Doc[] =>
  Array.from({ length: count }, (_, at) => ({
    id: `d${String((at * 37) % count).padStart(3, "0")}`,
    name: `Name ${String.fromCharCode((at % 2 === 0 ? 65 : 97) + (at % 5))}-${at}`,
    size: at % 7,
    tenant: { id: at % 3 === 0 ? "t1" : "t2" },
  }));

const finding: Case[] = [
  test("all conditions must hold, dots reach into objects", async (docs) => {
    await add(docs, ...numbered(60));
    const { items, total } = await docs.find({ where: { "tenant.id": "t1", size: 3 }, limit: 100 }, call);
    assert.ok(total > 0 && items.length === total);
    assert.ok(items.every(({ value }) => value.tenant?.id === "t1" && value.size === 3));
  }),
  test("a missing field equals null; fields outside the lists can be asked for too", async (docs) => {
    await add(docs, { id: "a", size: 1, more: { kind: "x" } }, { id: "b", name: null }, { id: "c" });
    assert.deepEqual(await idsOf(docs, { where: { size: null }, limit: 9 }), ["b", "c"]);
    assert.deepEqual(await idsOf(docs, { where: { "more.kind": "x" }, limit: 9 }), ["a"]);
    assert.deepEqual(await idsOf(docs, { where: { "more.kind": null }, limit: 9 }), ["b", "c"]);
  }),
  test("in, gte (inclusive) and lt (exclusive)", async (docs) => {
    await add(docs, ...[1, 2, 3, 4].map((size) => ({ id: `d${size}`, size })), { id: "none" });
    assert.deepEqual(await idsOf(docs, { where: { size: { in: [1, 4, 9] } }, limit: 9 }), ["d1", "d4"]);
    assert.deepEqual(await idsOf(docs, { where: { size: { in: [1, null] } }, limit: 9 }), ["d1", "none"]);
    assert.deepEqual(await idsOf(docs, { where: { size: { in: [] } }, limit: 9 }), []);
    assert.deepEqual(await idsOf(docs, { where: { size: { gte: 2, lt: 4 } }, limit: 9 }), ["d2", "d3"]);
  }),
  test("search finds a case-insensitive substring of any of the fields, taken literally", async (docs) => {
    const names = ["Über 100%", "under_score", "plain", "1000 percent"];
    await add(docs, ...names.map((name, at) => ({ id: `d${at}`, name, more: { text: at === 2 ? "100%" : "" } })));
    const search = (text: string) => idsOf(docs, { search: { text, fields: ["name", "more.text"] }, limit: 9 });
    assert.deepEqual(await search("100%"), ["d0", "d2"]);
    assert.deepEqual(await search("R_S"), ["d1"]);
    assert.deepEqual(await search("üBER"), ["d0"]);
    assert.deepEqual(await search("PERCENT"), ["d3"]);
  }),
  test("text sorts case-insensitively", async (docs) => {
    await add(docs, { id: "1", name: "b" }, { id: "2", name: "A" }, { id: "3", name: "C" }, { id: "4", name: "a1" });
    assert.deepEqual(await idsOf(docs, { sort: { by: "name", order: "asc" }, limit: 9 }), ["2", "4", "1", "3"]);
    assert.deepEqual(await idsOf(docs, { sort: { by: "name", order: "desc" }, limit: 9 }), ["3", "1", "4", "2"]);
  }),
  test("ties are broken by id, so that pages neither repeat nor miss a document", async (docs) => {
    const all = numbered(60);
    await add(docs, ...all);
    for (const order of ["asc", "desc"] as const) {
      const seen: string[] = [];
      for (let page = 0; page < 9; page++) {
        const { items, total } = await docs.find({ sort: { by: "size", order }, page, limit: 7 }, call);
        assert.equal(total, 60);
        seen.push(...items.map(({ value }) => value.id));
      }
      assert.deepEqual([...seen].sort(), all.map(({ id }) => id).sort());
      const sizes = seen.map((id) => all.find((doc) => doc.id === id)?.size as number);
      assert.deepEqual(
        sizes,
        [...sizes].sort((a, b) => (order === "asc" ? a - b : b - a)),
      );
      assert.ok(seen.every((id, at) => at === 0 || sizes[at] !== sizes[at - 1] || (seen[at - 1] as string) < id));
    }
  }),
  test("pages are stable without a sort", async (docs) => {
    await add(docs, ...numbered(30));
    const seen: string[] = [];
    for (let page = 0; page < 4; page++) seen.push(...(await idsOf(docs, { page, limit: 9 })));
    assert.equal(new Set(seen).size, 30);
  }),
  test("the total counts the matches of all pages, also of one beyond the last", async (docs) => {
    await add(docs, ...numbered(60));
    const where = { "tenant.id": "t1" };
    for (const page of [0, 1, 9]) assert.equal((await docs.find({ where, page, limit: 5 }, call)).total, 20);
    assert.equal((await docs.find({ where: { name: "none" }, limit: 5 }, call)).total, 0);
  }),
  test("found documents carry their version", async (docs) => {
    await add(docs, { id: "a" });
    await docs.put([{ value: { id: "a" }, expect: 1 }], call);
    assert.equal((await docs.find({ limit: 1 }, call)).items[0]?.version, 2);
  }),
  test("collections do not see each other", async (docs, store) => {
    await add(docs, { id: "a" });
    const other = store.collection<Doc>({ name: "kit_other", id: "id", indexes: [] });
    assert.deepEqual(await other.get(["a"], call), [undefined]);
  }),
  test("a collection without a list answers by id and refuses everything else", async (_docs, store) => {
    const large = store.collection<Doc>({ name: "kit_large", id: "id", indexes: [], listed: false });
    await add(large, { id: "a", name: "x" }, { id: "b" });
    assert.deepEqual(await large.get(["a"], call), [{ value: { id: "a", name: "x" }, version: 1 }]);
    assert.deepEqual(await idsOf(large, { where: { id: { in: ["a", "none"] } }, limit: 5 }), ["a"]);
    for (const query of [{ limit: 5 }, { where: { name: "x" }, limit: 5 }]) {
      assert.equal((await rejection(large.find(query, call))).code, "store.invalid");
    }
    assert.equal(await large.remove(["a", "b", "c"], call), 2);
    assert.deepEqual(await large.get(["a"], call), [undefined]);
  }),
];

const restarts: Case[] = [
  {
    name: "what was acknowledged is there after a restart, with its version and its claims",
    restarts: true,
    run: async ({ store, reopen }) => {
      const docs = store.collection<Doc>(spec);
      await add(docs, { id: "a", name: "x", tenant }, { id: "gone" });
      await docs.put([{ value: { id: "a", name: "x", tenant, size: 5 }, expect: 1 }], call);
      await docs.remove(["gone"], call);
      const again = (await reopen?.())?.collection<Doc>(spec);
      assert.ok(again);
      assert.deepEqual(await again.get(["a", "gone"], call), [
        { value: { id: "a", name: "x", tenant, size: 5 }, version: 2 },
        undefined,
      ]);
      assert.deepEqual(codesOf(await rejection(add(again, { id: "b", name: "x", tenant }))), [[0, "store.unique"]]);
    },
  },
];

export const entityStoreCases: readonly Case[] = [...writing, ...claims, ...finding, ...restarts];

/** The specification of `EntityStore`; each sentence of its interface is the name of a test. */
export function describeEntityStore(name: string, kit: StoreKit<EntityStore>): void {
  describeStore(`${name}: entity store`, entityStoreCases, kit);
}
