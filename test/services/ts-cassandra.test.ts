import { cql, dropKeyspaces, freshKeyspace, quietParts, testConfig } from "@heddle/cassandra-driver/testing";
import type { EntityId, TimeseriesStore } from "@heddle/plugin-sdk";
import { describeNeeding, describePlugin, describeTimeseriesStore } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CassandraTimeseries, type TimeseriesConfig } from "../../plugins/ts-cassandra/src/cassandra-timeseries.ts";
import card from "../../plugins/ts-cassandra/src/index.ts";
import { sharedService } from "./service.ts";

const call = { signal: new AbortController().signal };

describeNeeding("cassandra", sharedService("cassandra")?.where, (where) => {
  const keyspaces = new Set<string>();
  afterAll(() => dropKeyspaces(where, keyspaces));
  const configOf = (more: Partial<TimeseriesConfig> = {}): TimeseriesConfig => {
    const keyspace = freshKeyspace("ts");
    keyspaces.add(keyspace);
    return { ...testConfig(where, keyspace), bucket: "MONTHS", knownSeries: 10_000, ...more };
  };
  const open = async (config: TimeseriesConfig) => {
    const store = new CassandraTimeseries(config, quietParts());
    await store.start(call.signal);
    return store;
  };

  describePlugin(card, {
    config: { contactPoints: where, keyspace: configOf().keyspace, replication: 1 },
  });

  /** Each case has entity types of its own in one keyspace: they are part of every partition key. */
  const shared = configOf();
  let cases = 0;
  const under = (store: TimeseriesStore, prefix: string): TimeseriesStore => {
    const own = (entity: EntityId): EntityId => ({ ...entity, entityType: prefix + entity.entityType });
    return {
      append: (samples, call) =>
        store.append(
          samples.map((one) => ({ ...one, entity: own(one.entity) })),
          call,
        ),
      latest: (entity, keys, call) => store.latest(own(entity), keys, call),
      range: (query, call) => store.range({ ...query, entity: own(query.entity) }, call),
      remove: (query, call) => store.remove({ ...query, entity: own(query.entity) }, call),
      forget: (all, call) => store.forget(all.map(own), call),
    };
  };
  let running: CassandraTimeseries;
  beforeAll(async () => {
    running = await open(shared);
  });
  afterAll(() => running[Symbol.asyncDispose]());

  describeTimeseriesStore("ts-cassandra", {
    supports: { survivesRestart: true },
    create: async () => {
      const prefix = `case${cases++}_`;
      let again: CassandraTimeseries | undefined;
      return {
        store: under(running, prefix),
        reopen: async () => {
          again = await open(shared);
          return under(again, prefix);
        },
        [Symbol.asyncDispose]: async () => again?.[Symbol.asyncDispose](),
      };
    },
  });

  it("T-17 a point lives no longer than the store's limit", async () => {
    const config = configOf({ ttl: 30_000 });
    await using store = await open(config);
    await store.append([{ entity: { entityType: "DEVICE", id: "a" }, ts: Date.now(), values: { k: 1 } }], {
      ...call,
      ttlMs: 60_000,
    });
    const [row] = await cql(where, `SELECT TTL(value) AS left FROM "${config.keyspace}".ts_points`);
    expect(row?.["left"]).toBeGreaterThan(25);
    expect(row?.["left"]).toBeLessThanOrEqual(30);
  });

  it("the latest value is the newest of all sessions', and a removal on one is seen by the other", async () => {
    await using one = await open(shared);
    await using two = await open(shared);
    const entity = { entityType: "TWO", id: "a" };
    const save = (store: TimeseriesStore, ts: number, k: number) => store.append([{ entity, ts, values: { k } }], call);
    const seen = async (store: TimeseriesStore) => (await store.latest(entity, ["k"], call))[0];
    await save(one, 100, 1);
    await save(two, 200, 2);
    // The first still thinks that 100 is the newest.
    await save(one, 150, 3);
    expect(await seen(one)).toEqual({ key: "k", ts: 200, value: 2 });
    await save(one, 200, 4);
    expect(await seen(two)).toEqual({ key: "k", ts: 200, value: 4 });
    await save(two, 300, 5);
    await one.remove({ entity, keys: ["k"], from: 0, to: 1_000, latest: "remove" }, call);
    expect(await seen(two)).toBeUndefined();
    await save(two, 50, 6);
    expect(await seen(one)).toEqual({ key: "k", ts: 50, value: 6 });
  });

  it("calls under way at once leave the newest value, whatever their order", async () => {
    await using store = await open(shared);
    for (let round = 0; round < 20; round++) {
      const entity = { entityType: "RACE", id: `r${round}` };
      const times = Array.from({ length: 30 }, (_, at) => (at * 17) % 30);
      await Promise.all(times.map((ts) => store.append([{ entity, ts, values: { k: ts } }], call)));
      expect(await store.latest(entity, ["k"], call)).toEqual([{ key: "k", ts: 29, value: 29 }]);
    }
  });

  it("a removal and appends at once never leave a history without a latest value", async () => {
    await using store = await open(shared);
    for (let round = 0; round < 20; round++) {
      const entity = { entityType: "DROP", id: `r${round}` };
      await store.append([{ entity, ts: 100, values: { k: 100 } }], call);
      await Promise.all([
        store.remove({ entity, keys: ["k"], from: 60, to: 200, latest: "rewrite" }, call),
        store.append([{ entity, ts: 50, values: { k: 50 } }], call),
      ]);
      expect(await store.latest(entity, ["k"], call)).toEqual([{ key: "k", ts: 50, value: 50 }]);
    }
  });

  it("tables with another bucket size are refused", async () => {
    await expect(open({ ...shared, bucket: "DAYS" })).rejects.toMatchObject({
      code: "store.layout",
      message: expect.stringContaining("bucket MONTHS"),
    });
  });

  it("tables of a newer version are refused, naming both versions", async () => {
    const config = configOf();
    await (await open(config))[Symbol.asyncDispose]();
    await cql(where, `UPDATE "${config.keyspace}".heddle_schema SET version = 7 WHERE component = 'timeseries'`);
    await expect(open(config)).rejects.toMatchObject({
      code: "store.schema-version",
      message: expect.stringMatching(/version 7.*knows 1/),
    });
  });

  it("many nodes that start at once make the tables once", async () => {
    const config = configOf();
    const stores = await Promise.all(Array.from({ length: 6 }, () => open(config)));
    await Promise.all(
      stores.map((store, at) =>
        store.append([{ entity: { entityType: "D", id: "a" }, ts: at, values: { k: at } }], call),
      ),
    );
    expect((await stores[0]?.latest({ entityType: "D", id: "a" }, "all", call))?.[0]?.ts).toBe(5);
    await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
  });

  it("more copies than nodes are refused before anything is made", async () => {
    await expect(open({ ...configOf(), replication: 3 })).rejects.toMatchObject({ code: "store.replication" });
  });
});
