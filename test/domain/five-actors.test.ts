import type { RunningNode } from "@heddle/core";
import {
  type DeviceIdentity,
  deviceLane,
  entityKey,
  ruleChainCollection,
  type Session,
  type SessionEnd,
  tenantCollection,
} from "@heddle/plugin-sdk";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addDevice, addTenant, call, domainNode, eventually, type Probe, tenantId } from "../fixtures/domain-node.ts";

const deviceId = "de9d54a0-2b7a-11ec-a3cc-23386423d98f";
const entity = { entityType: "DEVICE", id: deviceId };

let node: RunningNode;
let probe: Probe;
let who: DeviceIdentity;

beforeEach(async () => {
  ({ node, probe } = await domainNode());
  await addTenant(probe);
  await addDevice(probe, deviceId, "token");
  who = (await probe.sessions.authenticate({ kind: "token", token: "token" }, call)) as DeviceIdentity;
});
afterEach(async () => {
  await node.stop();
});

const metric = (name: string, labels: string) =>
  Number(new RegExp(`^${name}\\{${labels}\\} (\\d+)`, "m").exec(probe.observability.metrics())?.[1] ?? Number.NaN);
const alive = (kind: string) => metric("heddle_actor_alive_actors", `kind="${kind}"`);
const lives = (kind: string, event: string) => metric("heddle_actor_lives_total", `kind="${kind}",event="${event}"`);
const send = (text: string) => probe.sessions.visit(who).telemetry(Buffer.from(text));
const stored = (key: string) => probe.series.latest(entity, [key], call);

function open(heard: { attributes: string[]; calls: unknown[] } = { attributes: [], calls: [] }): Promise<Session> {
  const down = {
    deliverAttributes: async (json: string) => void heard.attributes.push(json),
    deliverRpc: async (request: unknown) => void heard.calls.push(request),
  };
  return probe.sessions.open(who, { transport: "test", peer: "" }, down, call);
}

describe("the App actor", () => {
  it("lives as long as the node and starts the tenants of the store", async () => {
    expect(alive("app")).toBe(1);
    expect(alive("tenant")).toBe(1);
    await node.stop();
    expect(lives("app", "stopping")).toBe(1);
  });
});

describe("the Tenant actor", () => {
  it("makes the root chain that whoever made the tenant did not live to make", async () => {
    const chains = probe.entities.collection(ruleChainCollection);
    const { items } = await chains.find({ where: { tenantId, root: true }, limit: 2 }, call);
    expect(items).toHaveLength(1);
    await chains.remove([items[0]?.value.id ?? ""], call);
    await probe.rules.changed(tenantId, call);
    await eventually(
      async () => (await chains.find({ where: { tenantId, root: true }, limit: 2 }, call)).total,
      (n) => n === 1,
    );
    await send('{"t":7}');
    await eventually(
      () => stored("t"),
      (points) => points[0]?.value === 7,
    );
  });

  it("owns the tenant's chains, and takes them with it when the tenant is deleted", async () => {
    await send('{"t":1}');
    await eventually(
      () => alive("rule-node"),
      (n) => n === 6,
    );
    await probe.entities.collection(tenantCollection).remove([tenantId], call);
    await probe.rules.changed(tenantId, call);
    await eventually(
      () => [alive("tenant"), alive("rule-chain"), alive("rule-node"), alive("device")],
      (n) => n.every((one) => one === 0),
    );
    await send('{"t":2}');
    await eventually(
      () => metric("heddle_lane_consumed_records_total", 'lane="rule-engine",group="rules",event="handled"'),
      (n) => n >= 2,
    );
    expect((await stored("t"))[0]?.value).toBe(1);
  });
});

describe("the Device actor", () => {
  it("wakes with the first message and stays while the device is active", async () => {
    expect(alive("device")).toBe(0);
    await send('{"t":1}');
    await eventually(
      () => alive("device"),
      (n) => n === 1,
    );
    const active = await eventually(
      () => probe.attributes.get(entity, "SERVER_SCOPE", ["active"], call),
      (found) => found.length === 1,
    );
    expect(active[0]?.value).toBe(true);
  });

  it("D-01 closes the older of two sessions, and ends sessions whose credentials change (D-03)", async () => {
    const first = await open();
    const second = await open();
    await eventually(() => first.closed.aborted, Boolean);
    expect((first.closed.reason as SessionEnd).reason).toBe("replaced");
    expect(second.closed.aborted).toBe(false);
    const event = { kind: "credentials", tenantId, deviceId } as const;
    await probe.lanes.publish(deviceLane, entityKey(tenantId, entity), event, call);
    await eventually(() => second.closed.aborted, Boolean);
    expect((second.closed.reason as SessionEnd).reason).toBe("credentials");
  });

  it("D-04 D-05 pushes shared attributes and their removal to subscribers, and no others", async () => {
    const heard = { attributes: [] as string[], calls: [] };
    const session = await open(heard);
    await session.subscribe("attributes", true, call);
    const change = { tenantId, entity, notifyDevice: true } as const;
    await probe.telemetry.saveAttributes({ ...change, scope: "SERVER_SCOPE", values: { hidden: 1 } }, call);
    await probe.telemetry.saveAttributes({ ...change, scope: "SHARED_SCOPE", values: { interval: 60 } }, call);
    await probe.telemetry.removeAttributes({ ...change, scope: "SHARED_SCOPE", keys: ["interval"] }, call);
    await eventually(
      () => heard.attributes.length,
      (n) => n >= 2,
    );
    expect(heard.attributes).toEqual(['{"interval":60}', '{"deleted":["interval"]}']);
  });

  it("D-06 D-10 delivers calls through the root chain, and again what waited", async () => {
    const heard = { attributes: [], calls: [] as { requestId: number; method: string; params: string }[] };
    const rpc = {
      tenantId,
      deviceId,
      method: "m",
      params: "{}",
      persistent: false,
      expiresAt: probe.world.now() + 5_000,
    };
    const waiting = probe.control.request({ ...rpc, id: probe.world.uuid(), oneway: false }, call);
    const session = await open(heard);
    await session.subscribe("rpc", true, call);
    await eventually(
      () => heard.calls.length,
      (n) => n === 1,
    );
    await session.rpcReply(heard.calls[0]?.requestId ?? -1, Buffer.from('{"a":1}'));
    expect(await waiting).toEqual({ response: '{"a":1}' });
    expect(await probe.control.request({ ...rpc, id: probe.world.uuid(), oneway: true }, call)).toEqual({});
  });

  it("D-07 says that nobody was connected, when the call expires", async () => {
    const rpc = {
      tenantId,
      deviceId,
      method: "m",
      params: "{}",
      persistent: false,
      oneway: false,
      id: probe.world.uuid(),
    };
    expect(await probe.control.request({ ...rpc, expiresAt: probe.world.now() + 200 }, call)).toEqual({
      error: "NO_ACTIVE_CONNECTION",
    });
  });
});

describe("the Rule chain and Rule node actors", () => {
  it("carry telemetry to the store, one actor a chain and one a node", async () => {
    await send('{"t":25.0,"on":true}');
    const found = await eventually(
      () => stored("t"),
      (points) => points.length === 1,
    );
    expect(found[0]?.value).toEqual(expect.objectContaining({ value: 25 }));
    await eventually(
      () => [alive("rule-chain"), alive("rule-node")],
      ([chains, nodes]) => chains === 1 && nodes === 6,
    );
    expect(lives("rule-node", "activations")).toBe(6);
  });

  it("start again when the chain changes; a node that cannot start fails what reaches it, and only that", async () => {
    const chains = probe.entities.collection(ruleChainCollection);
    const { items } = await chains.find({ where: { tenantId, root: true }, limit: 1 }, call);
    const chain = items[0]!;
    const nodes = chain.value.nodes.map((one) =>
      one.name === "Save Timeseries" ? { ...one, type: "acme.unknown" } : one,
    );
    await chains.put([{ value: { ...chain.value, nodes }, expect: chain.version }], call);
    await probe.rules.changed(tenantId, call);
    await probe.sessions.visit(who).attributes(Buffer.from('{"serial":"A1"}'));
    await eventually(
      () => probe.attributes.get(entity, "CLIENT_SCOPE", ["serial"], call),
      (found) => found.length === 1,
    );
    await send('{"t":1}');
    await eventually(
      () => metric("heddle_lane_consumed_records_total", 'lane="rule-engine",group="rules",event="skipped"'),
      (n) => n === 1,
    );
    expect(await stored("t")).toEqual([]);
  });
});
