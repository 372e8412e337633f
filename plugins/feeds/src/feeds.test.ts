import { setMaxListeners } from "node:events";
import { Kernel, quietLog, SimCoordinator, SimNetwork, Simulation, SimWorld, sessionMs } from "@heddle/core/testing";
import {
  ActorKinds,
  Actors,
  AttributeStore,
  Cluster,
  type EntityId,
  type FeedInterest,
  type FeedUpdate,
  Lanes,
  TimeseriesStore,
} from "@heddle/plugin-sdk";
import {
  describePlugin,
  MemoryAttributeStore,
  MemoryTimeseriesStore,
  memoryQueue,
  realWorld,
} from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import card from "./index.ts";
import { LiveFeeds } from "./live-feeds.ts";
import { StoredTelemetry } from "./stored-telemetry.ts";

const never = new AbortController().signal;
setMaxListeners(0, never);
const call = { signal: never };
const tenantId = "1da6ae90-9d58-11ef-b1c2-0242ac120002";
const device = (n: number): EntityId => ({
  entityType: "DEVICE",
  id: `de9d54a0-2b7a-11ec-a3cc-${String(n).padStart(12, "0")}`,
});

describePlugin(card, {
  deps: new Map<string, unknown>([
    [Actors.id, { ref: () => ({ tell() {}, ask: async () => true }) }],
    [Lanes.id, {}],
    [Cluster.id, { self: "a", members: ["a"], onChange: () => ({ [Symbol.dispose]() {} }) }],
    [TimeseriesStore.id, new MemoryTimeseriesStore(realWorld())],
    [AttributeStore.id, new MemoryAttributeStore()],
    [ActorKinds.id, []],
  ]),
});

interface Node {
  readonly name: string;
  readonly world: SimWorld;
  readonly kernel: Kernel;
  readonly feeds: LiveFeeds;
  readonly telemetry: StoredTelemetry;
  /** Subscriptions reached on this node. */
  delivered: number;
}

class Watcher {
  readonly updates: FeedUpdate[] = [];
  resyncs = 0;
  deliver(update: FeedUpdate): void {
    this.updates.push(update);
  }
  resync(): void {
    this.resyncs++;
  }
  get values(): unknown[] {
    return this.updates.flatMap(({ changes }) => changes.map(({ value }) => value));
  }
}

describe("feeds of a cluster", () => {
  let sim: Simulation;
  let coordinator: SimCoordinator;
  let network: SimNetwork;
  let broker: ReturnType<typeof memoryQueue>;
  let series: MemoryTimeseriesStore;
  let attributes: MemoryAttributeStore;
  const nodes = new Map<string, Node>();

  const boot = (name: string): Node => {
    const world = new SimWorld(sim);
    const kernel = new Kernel({
      world,
      log: quietLog(),
      id: name,
      roles: ["owner"],
      partitions: 16,
      coordinator: coordinator.client(world),
      queue: broker.client(name),
      peer: network.link(name, world),
    });
    const deps = {
      world,
      log: quietLog(),
      actors: kernel.actors,
      cluster: kernel.cluster,
      lanes: kernel.lanes,
      series,
      attributes,
    };
    const feeds: LiveFeeds = new LiveFeeds(deps, (updates) => {
      node.delivered += updates;
    });
    const node: Node = { name, world, kernel, feeds, telemetry: new StoredTelemetry(deps, feeds), delivered: 0 };
    nodes.set(name, node);
    void feeds.start();
    kernel.serve(feeds.kinds, never).catch(() => undefined);
    return node;
  };
  const alive = () => [...nodes.values()].filter(({ world }) => !world.dead);
  const settle = async () => {
    const owned = () =>
      Array.from({ length: 16 }, (_, p) => alive().some(({ kernel }) => kernel.ownership.serves(p))).every(Boolean) &&
      alive().every(({ kernel }) => kernel.cluster.members.length === alive().length);
    expect(await sim.advance(30_000, owned)).toBe(true);
    await sim.advance(200);
  };
  const node = (name: string) => nodes.get(name) as Node;
  const ownerOf = (entity: EntityId) => node("a").kernel.cluster.ownerOf(`${tenantId}/${entity.id}`);
  const ownedBy = (name: string): EntityId => {
    for (let n = 0; n < 1_000; n++) if (ownerOf(device(n)) === name) return device(n);
    throw new Error(`${name} owns nothing`);
  };
  const follow = async (at: string, interest: Omit<FeedInterest, "tenantId">) => {
    const watcher = new Watcher();
    const feed = node(at).feeds.subscribe({ tenantId, ...interest }, watcher, call);
    let live = false;
    feed.live.then(
      () => {
        live = true;
      },
      () => undefined,
    );
    expect(await sim.advance(5_000, () => live)).toBe(true);
    return { watcher, feed };
  };
  const save = async (at: string, entity: EntityId, ts: number, values: Record<string, number>) => {
    const saved = node(at).telemetry.save(tenantId, [{ entity, ts, values }], call);
    await sim.advance(100);
    await saved;
  };

  beforeEach(async () => {
    sim = new Simulation(11);
    coordinator = new SimCoordinator(sim);
    network = new SimNetwork(sim);
    broker = memoryQueue(new SimWorld(sim), { delayMs: 2 });
    series = new MemoryTimeseriesStore({ now: () => sim.now });
    attributes = new MemoryAttributeStore();
    for (const name of ["a", "b", "c"]) boot(name);
    await settle();
  });
  afterEach(async () => {
    for (const { feeds, world } of nodes.values()) {
      await feeds[Symbol.asyncDispose]();
      world.kill();
    }
    nodes.clear();
  });

  it("W-02 reach a subscriber on one node from a save on another, of an entity that a third owns", async () => {
    const entity = ownedBy("c");
    const { watcher } = await follow("a", { entity, series: ["t"] });
    for (let n = 1; n <= 20; n++) await save("b", entity, n, { t: n, other: 0 });
    expect(watcher.updates[0]).toEqual({ entity, changes: [{ key: "t", ts: 1, value: 1 }] });
    expect(watcher.values).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    expect((await series.latest(entity, ["t"], call))[0]?.value).toBe(20);
  });

  it("keep the order of saves that were not waited for", async () => {
    const entity = ownedBy("c");
    const { watcher } = await follow("a", { entity, series: "all" });
    for (let n = 1; n <= 50; n++) void node("b").telemetry.save(tenantId, [{ entity, ts: n, values: { t: n } }], call);
    await sim.advance(500);
    expect(watcher.values).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  });

  it("tell only what was asked for, and nothing after the end", async () => {
    const entity = ownedBy("b");
    const keys = await follow("a", { entity, series: ["x"] });
    const scope = await follow("a", { entity, attributes: { SERVER_SCOPE: "all" } });
    await save("c", entity, 1, { t: 1 });
    expect([keys.watcher.updates, scope.watcher.updates]).toEqual([[], []]);
    await save("c", entity, 2, { x: 1 });
    await keys.feed[Symbol.asyncDispose]();
    await sim.advance(100);
    await save("c", entity, 3, { x: 2 });
    expect(keys.watcher.values).toEqual([1]);
    expect(scope.watcher.updates).toEqual([]);
  });

  it("W-OLD-04 say of a removed attribute value null and ts 0, and of a key that was not there nothing", async () => {
    const entity = ownedBy("c");
    const { watcher } = await follow("a", { entity, attributes: { SHARED_SCOPE: ["k"] } });
    const change = { tenantId, entity, scope: "SHARED_SCOPE" as const, notifyDevice: false };
    const saved = node("b").telemetry.saveAttributes({ ...change, values: { k: "v", other: 1 } }, call);
    await sim.advance(100);
    await saved;
    const removed = node("b").telemetry.removeAttributes({ ...change, keys: ["k", "none"] }, call);
    await sim.advance(100);
    expect(await removed).toEqual(["k"]);
    expect(watcher.updates).toEqual([
      { entity, scope: "SHARED_SCOPE", changes: [{ key: "k", ts: expect.any(Number), value: "v" }] },
      { entity, scope: "SHARED_SCOPE", changes: [{ key: "k", ts: 0, value: null }] },
    ]);
  });

  it("say of removed series what is left, or null", async () => {
    const entity = ownedBy("c");
    await save("b", entity, 10, { t: 1 });
    await save("b", entity, 20, { t: 2 });
    const { watcher } = await follow("a", { entity, series: ["t"] });
    for (const from of [15, 5]) {
      const done = node("b").telemetry.remove(tenantId, { entity, keys: ["t"], from, to: 30, latest: "rewrite" }, call);
      await sim.advance(100);
      await done;
    }
    expect(watcher.updates.map(({ changes }) => changes)).toEqual([
      [{ key: "t", ts: 10, value: 1 }],
      [{ key: "t", ts: 0, value: null }],
    ]);
  });

  it("follow an entity whose owner leaves: subscribed again, resync, updates go on", async () => {
    const entity = ownedBy("c");
    const { watcher } = await follow("a", { entity, series: "all" });
    const leaving = node("c").kernel.stop();
    await sim.advance(5_000);
    await leaving;
    node("c").world.kill();
    await settle();
    expect(watcher.resyncs).toBeGreaterThan(0);
    expect(ownerOf(entity)).not.toBe("c");
    await save("b", entity, 1, { t: 1 });
    expect(watcher.values).toEqual([1]);
  });

  it("follow an entity whose owner dies", async () => {
    const entity = ownedBy("c");
    const { watcher } = await follow("a", { entity, series: "all" });
    node("c").world.kill();
    await sim.advance(sessionMs * 3);
    await settle();
    expect(watcher.resyncs).toBeGreaterThan(0);
    await save("b", entity, 1, { t: 1 });
    expect(watcher.values).toEqual([1]);
  });

  it("forget a node that died, also when it comes back under its name", async () => {
    const entity = ownedBy("c");
    await follow("a", { entity, series: "all" });
    node("a").world.kill();
    await sim.advance(sessionMs * 3);
    boot("a");
    await settle();
    const other = [...Array(1_000).keys()].map(device).find((each) => ownerOf(each) === "b") as EntityId;
    const { watcher } = await follow("a", { entity: other, series: "all" });
    await save("b", entity, 1, { t: 1 });
    expect(watcher.updates).toEqual([]);
    expect(node("a").delivered).toBe(0);
  });

  it("drop a subscription that is not renewed: its end was lost", async () => {
    const entity = ownedBy("c");
    const { watcher, feed } = await follow("a", { entity, series: "all" });
    await sim.advance(200_000);
    await save("b", entity, 1, { t: 1 });
    expect(watcher.values).toEqual([1]);
    network.cut("a", "c");
    await feed[Symbol.asyncDispose]();
    await sim.advance(1_000);
    network.heal();
    // Also while its values keep coming.
    for (let n = 1; n <= 20; n++) {
      await save("b", entity, n, { t: n });
      await sim.advance(10_000);
    }
    const before = node("a").delivered;
    await save("b", entity, 30, { t: 2 });
    expect(node("a").delivered).toBe(before);
    await sim.advance(100_000);
    expect(node("c").feeds.mayBeWatched(tenantId, entity)).toBe(false);
  });

  it("wake no actor when nobody watches", async () => {
    const entity = ownedBy("c");
    for (const at of ["a", "b", "c"]) await save(at, entity, 1, { t: 1 });
    expect(node("c").feeds.mayBeWatched(tenantId, entity)).toBe(false);
    const { feed } = await follow("b", { entity, series: "all" });
    expect(node("c").feeds.mayBeWatched(tenantId, entity)).toBe(true);
    await feed[Symbol.asyncDispose]();
    await sim.advance(120_000);
    expect(node("c").feeds.mayBeWatched(tenantId, entity)).toBe(false);
  });

  it("tell nobody of what could not be stored", async () => {
    const entity = ownedBy("c");
    const { watcher } = await follow("a", { entity, series: "all" });
    series.append = () => Promise.reject(new Error("disk full"));
    await expect(node("b").telemetry.save(tenantId, [{ entity, ts: 1, values: { t: 1 } }], call)).rejects.toThrow(
      "disk full",
    );
    await sim.advance(200);
    expect(watcher.updates).toEqual([]);
  });
});
