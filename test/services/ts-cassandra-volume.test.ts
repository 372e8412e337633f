import { CassandraSession } from "@heddle/cassandra-driver";
import { dropKeyspaces, freshKeyspace, quietParts, testConfig } from "@heddle/cassandra-driver/testing";
import type { EntityId, Sample } from "@heddle/plugin-sdk";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterAll, expect, it } from "vitest";
import { CassandraEntities } from "../../plugins/store-cassandra/src/cassandra-entities.ts";
import { schema } from "../../plugins/store-cassandra/src/tables.ts";
import { CassandraTimeseries } from "../../plugins/ts-cassandra/src/cassandra-timeseries.ts";
import { sharedService } from "./service.ts";

const call = { signal: new AbortController().signal };
/** `VOLUME=1000000` for the long run; `VOLUME=0` leaves it out. */
const volume = Number(process.env["VOLUME"] ?? 30_000);
const documents = Math.min(10_000, Math.floor(volume / 50));
const devices = 1_000;
const month = Date.UTC(2024, 2, 1);
const days = 86_400_000;
const say = (text: string) => console.log(`figures: ${text}`);

describeNeeding("cassandra", volume > 0 ? sharedService("cassandra")?.where : undefined, (where) => {
  const keyspace = freshKeyspace("volume");
  const config = { ...testConfig(where, keyspace), requestTimeout: 30_000 };
  afterAll(() => dropKeyspaces(where, [keyspace]));
  const open = async () => {
    const store = new CassandraTimeseries({ ...config, bucket: "MONTHS", knownSeries: 200_000 }, quietParts());
    await store.start(call.signal);
    return store;
  };
  const device = (at: number): EntityId => ({ entityType: "DEVICE", id: `device-${at}` });

  it("points of many devices come back equal", { timeout: 900_000 }, async () => {
    await using store = await open();
    const each = Math.floor(volume / devices);
    const value = (at: number, n: number) => (n % 3 === 0 ? at * n + 0.25 : at + n);
    const begun = performance.now();
    const calls = 20;
    // A sample of one key for each of fifty devices a call, as a lane's batch brings them.
    let next = 0;
    const total = (each * devices) / 50;
    await Promise.all(
      Array.from({ length: calls }, async () => {
        for (let at = next++; at < total; at = next++) {
          const n = Math.floor(at / (devices / 50));
          const samples: Sample[] = Array.from({ length: 50 }, (_, i) => {
            const of = ((at * 50) % devices) + i;
            return { entity: device(of), ts: month + n * 1_000, values: { temperature: value(of, n) } };
          });
          await store.append(samples, call);
        }
      }),
    );
    const seconds = (performance.now() - begun) / 1_000;
    say(`${each * devices} points appended, ${Math.round((each * devices) / seconds)} points/s`);
    let read = 0;
    const reading = performance.now();
    for (let of = 0; of < devices; of++) {
      const query = { entity: device(of), keys: ["temperature"], from: month, to: month + 31 * days, limit: 1e9 };
      let n = 0;
      for await (const page of store.range({ ...query, order: "asc" }, call)) {
        for (const point of page) {
          if (point.ts !== month + n * 1_000 || point.value !== value(of, n)) {
            expect(point).toEqual({ key: "temperature", ts: month + n * 1_000, value: value(of, n) });
          }
          n++;
        }
      }
      expect(n).toBe(each);
      read += n;
    }
    say(`${read} points read, ${Math.round(read / ((performance.now() - reading) / 1_000))} points/s`);
  });

  it("a month in 500 windows, without holding its points", { timeout: 900_000 }, async () => {
    await using store = await open();
    const entity = { entityType: "DEVICE", id: "long" };
    const step = Math.floor((31 * days) / volume);
    const begun = performance.now();
    for (let at = 0; at < volume; at += 5_000) {
      const count = Math.min(5_000, volume - at);
      const samples = Array.from({ length: count }, (_, i) => ({
        entity,
        ts: month + (at + i) * step,
        values: { k: at + i },
      }));
      await store.append(samples, call);
    }
    const appended = (performance.now() - begun) / 1_000;
    say(`${volume} points of one series appended, ${Math.round(volume / appended)} points/s`);
    const bounds = Array.from({ length: 501 }, (_, at) => month + Math.floor((at * volume * step) / 500));
    const query = { entity, keys: ["k"], from: month, to: month + 31 * days, limit: 1, order: "asc" as const };
    const fold = async () => {
      let points = 0;
      let sum = 0;
      for await (const page of store.range({ ...query, aggregate: { fn: "SUM", bounds } }, call)) {
        for (const point of page) {
          points += point.count ?? 0;
          sum += Number(point.value);
        }
      }
      return { points, sum };
    };
    await fold();
    const before = process.memoryUsage().heapUsed;
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().heapUsed);
    }, 20);
    const folding = performance.now();
    const result = await fold();
    const ms = performance.now() - folding;
    clearInterval(watch);
    expect(result).toEqual({ points: volume, sum: (volume * (volume - 1)) / 2 });
    const grown = Math.round((most - before) / 1e6);
    say(`${volume} points in 500 windows: ${Math.round(ms)} ms, ${Math.round((ms * 1e5) / volume)} ms per 100k`);
    say(`heap at most ${grown} MB above the start`);
    // Garbage of a few pages; all points at once would be hundreds at a million.
    expect(grown).toBeLessThan(120);
  });

  it("documents written and found", { timeout: 900_000 }, async () => {
    const session = new CassandraSession(config, quietParts(), schema);
    await session.start(call.signal);
    const store = new CassandraEntities(session, 100_000);
    const docs = store.collection<{ id: string; tenantId: string; name: string; type: string }>({
      name: "device",
      id: "id",
      indexes: [["tenantId", "type"]],
      unique: [["tenantId", "name"]],
    });
    const begun = performance.now();
    for (let at = 0; at < documents; at += 100) {
      await docs.put(
        Array.from({ length: 100 }, (_, i) => ({
          value: { id: `d${at + i}`, tenantId: "t", name: `Device ${at + i}`, type: `type ${i % 5}` },
          expect: "absent" as const,
        })),
        call,
      );
    }
    say(`${documents} documents put, ${Math.round(documents / ((performance.now() - begun) / 1_000))} put/s`);
    const timed = async (name: string, query: Parameters<typeof docs.find>[0]) => {
      const from = performance.now();
      const { total } = await docs.find(query, call);
      say(`find ${name} (${total} of ${documents}): ${Math.round(performance.now() - from)} ms`);
      return total;
    };
    const page = { sort: { by: "name", order: "asc" as const }, limit: 10 };
    await timed("to warm up", { where: { tenantId: "t" }, ...page });
    expect(await timed("all of a tenant, sorted", { where: { tenantId: "t" }, ...page })).toBe(documents);
    const search = { text: "device 99", fields: ["name"] };
    expect(await timed("by a text", { where: { tenantId: "t" }, search, ...page })).toBeGreaterThan(0);
    expect(await timed("by two fields", { where: { tenantId: "t", type: "type 3" }, ...page })).toBe(documents / 5);
    expect(await timed("by a unique name", { where: { tenantId: "t", name: "Device 7" }, limit: 1 })).toBe(1);
    await session.stop();
  });
});
