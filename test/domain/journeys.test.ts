import {
  type DeviceIdentity,
  entityKey,
  type FeedUpdate,
  type RpcRequest,
  type Session,
  type SessionInfo,
} from "@heddle/plugin-sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  addDevice,
  addTenant,
  type ClusterNode,
  call,
  clusterNode,
  eventually,
  type Probe,
  tenantId,
} from "../fixtures/domain-node.ts";
import { SharedCluster } from "../fixtures/shared-cluster.ts";

/** The journeys of the architecture, section 9: the device belongs to B; requests come in on A, C and D. */
let shared: SharedCluster;
let nodes: ClusterNode[];
let [A, , C, D]: (Probe | undefined)[] = [];
let deviceId: string;
let who: DeviceIdentity;

const entity = () => ({ entityType: "DEVICE", id: deviceId });
const key = () => entityKey(tenantId, entity());
const about: SessionInfo = { transport: "test", peer: "" };

interface Heard {
  readonly attributes: string[];
  readonly calls: RpcRequest[];
}

beforeEach(async () => {
  shared = new SharedCluster();
  nodes = [];
  for (const id of ["A", "B", "C", "D"]) nodes.push(await clusterNode(shared, id));
  [A, , C, D] = nodes.map(({ probe }) => probe);
  await addTenant(A!);
  deviceId = ownedBy("B");
  await addDevice(A!, deviceId, "token");
  who = (await C!.sessions.authenticate({ kind: "token", token: "token" }, call)) as DeviceIdentity;
  shared.hops.length = 0;
});
afterEach(async () => {
  await Promise.all(nodes.map(({ node }) => node.stop()));
});

function ownedBy(node: string): string {
  for (;;) {
    const id = A!.world.uuid();
    if (A!.cluster.ownerOf(entityKey(tenantId, { entityType: "DEVICE", id })) === node) return id;
  }
}

async function openOn(probe: Probe): Promise<{ session: Session; heard: Heard }> {
  const heard: Heard = { attributes: [], calls: [] };
  const down = {
    deliverAttributes: async (json: string) => void heard.attributes.push(json),
    deliverRpc: async (request: RpcRequest) => void heard.calls.push(request),
  };
  return { session: await probe.sessions.open(who, about, down, call), heard };
}

const metric = (probe: Probe, name: string, labels: string) =>
  Number(new RegExp(`^${name}\\{${labels}\\} (\\d+)`, "m").exec(probe.observability.metrics())?.[1] ?? Number.NaN);
const handled = (lane: string, group: string) =>
  nodes.map(({ probe }) =>
    metric(probe, "heddle_lane_consumed_records_total", `lane="${lane}",group="${group}",event="handled"`),
  );
const devices = () => nodes.map(({ probe }) => metric(probe, "heddle_actor_alive_actors", 'kind="device"'));

describe("across four nodes", () => {
  it("telemetry: received on C, durable on the lane, processed and stored where the device lives, on B", async () => {
    const { session } = await openOn(C!);
    const before = handled("rule-engine", "rules");
    await session.telemetry(Buffer.from('{"temperature":25}'));
    await eventually(
      () => A!.series.latest(entity(), ["temperature"], call),
      (points) => points.length === 1,
    );
    await eventually(
      () => handled("rule-engine", "rules").map((count, i) => count - (before[i] ?? 0)),
      ([a, b, c, d]) => a === 0 && (b ?? 0) >= 1 && c === 0 && d === 0,
    );
    expect(devices()).toEqual([0, 1, 0, 0]);
    expect(shared.route(["handle", "process"])).toEqual([]);
  });

  it("D-18 server-side RPC: asked on A, decided on B, delivered on C, and back the same way", async () => {
    const { session, heard } = await openOn(C!);
    await session.subscribe("rpc", true, call);
    shared.hops.length = 0;
    const rpc = { tenantId, deviceId, method: "reboot", params: '{"in":5}', persistent: false, oneway: false };
    const id = A!.world.uuid();
    const answer = A!.control.request({ ...rpc, id, expiresAt: A!.world.now() + 5_000 }, call);
    await eventually(
      () => heard.calls.length,
      (n) => n === 1,
    );
    expect(heard.calls[0]).toMatchObject({ method: "reboot", params: '{"in":5}' });
    await session.rpcReply(heard.calls[0]?.requestId ?? -1, Buffer.from('{"ok":true}'));
    expect(await answer).toEqual({ response: '{"ok":true}' });
    expect(shared.route(["handle", "rpc", "rpcReply", "settle"])).toEqual([
      "A→B lane.handle",
      "B→C session-hub.rpc",
      "C→B device.rpcReply",
      "B→A session-hub.settle",
    ]);
  });

  it("attribute write: stored on A, told on the lane, pushed by B to the session on C", async () => {
    const { session, heard } = await openOn(C!);
    await session.subscribe("attributes", true, call);
    shared.hops.length = 0;
    const before = handled("device-events", "devices");
    const change = { tenantId, entity: entity(), notifyDevice: true, scope: "SHARED_SCOPE" } as const;
    await A!.telemetry.saveAttributes({ ...change, values: { interval: 60 } }, call);
    await eventually(
      () => heard.attributes.length,
      (n) => n === 1,
    );
    expect(heard.attributes).toEqual(['{"interval":60}']);
    expect(handled("device-events", "devices").map((count, i) => count - (before[i] ?? 0))).toEqual([0, 1, 0, 0]);
    expect(shared.route(["attributes"])).toEqual(["B→C session-hub.attributes"]);
  });

  it("W-01 WebSocket: D watches through B, hears what C takes once, and goes on when B has left", async () => {
    const { session } = await openOn(C!);
    const updates: FeedUpdate[] = [];
    let resyncs = 0;
    const on = { deliver: (update: FeedUpdate) => void updates.push(update), resync: () => void resyncs++ };
    await using feed = D!.feeds.subscribe({ tenantId, entity: entity(), series: ["t"] }, on, call);
    await feed.live;
    const values = () => updates.flatMap(({ changes }) => changes.map(({ value }) => value));
    await session.telemetry(Buffer.from('{"t":1}'));
    await eventually(values, (seen) => seen.length === 1);
    expect(shared.hops.filter(({ from, to }) => from === "D" && to === "B")).not.toEqual([]);
    expect(shared.hops.filter(({ from, to }) => from === "B" && to === "D")).not.toEqual([]);

    await nodes[1]!.node.stop();
    await eventually(
      () => [A!.cluster.ownerOf(key()), resyncs],
      ([owner, times]) => owner !== "B" && Number(times) >= 1,
    );
    await session.telemetry(Buffer.from('{"t":2}'));
    await eventually(values, (seen) => seen.length === 2);
    expect(values()).toEqual([1, 2]);
  });

  it("a call whose owner cannot be reached fails at once, long before its deadline", async () => {
    shared.unplug("B");
    const rpc = { tenantId, deviceId, method: "m", params: "{}", persistent: false, oneway: false };
    const began = performance.now();
    const call30 = { ...rpc, id: A!.world.uuid(), expiresAt: A!.world.now() + 30_000 };
    await expect(A!.control.request(call30, { signal: AbortSignal.timeout(4_000) })).rejects.toMatchObject({
      code: "actor.unavailable",
    });
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it("D-19 a node that dies in the middle of a call fails it before its deadline, and the session finds the new owner", async () => {
    const { session, heard } = await openOn(C!);
    await session.subscribe("rpc", true, call);
    const rpc = { tenantId, deviceId, method: "m", params: "{}", persistent: false, oneway: false };
    const request = () => A!.control.request({ ...rpc, id: A!.world.uuid(), expiresAt: A!.world.now() + 30_000 }, call);
    const first = request();
    await eventually(
      () => heard.calls.length,
      (n) => n === 1,
    );
    const began = performance.now();
    shared.kill("B");
    await expect(first).rejects.toMatchObject({ kind: "unavailable" });
    expect(performance.now() - began).toBeLessThan(5_000);
    const again = await eventually(
      () => A!.cluster.ownerOf(key()),
      (owner) => owner !== "B" && owner !== undefined,
    );
    expect(again).not.toBe("B");
    const second = request();
    await eventually(
      () => heard.calls.length,
      (n) => n === 2,
    );
    await session.rpcReply(heard.calls[1]?.requestId ?? -1, Buffer.from("1"));
    expect(await second).toEqual({ response: "1" });
  });
});
