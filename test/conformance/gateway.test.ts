import { afterAll, beforeAll, describe, expect } from "vitest";
import { MqttDevice } from "./mqtt.ts";
import { type Level, row, rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, pause, TestTenant } from "./tenant.ts";

describe.concurrent("device-api 9.6, gateways", () => {
  let target: Target;
  let tenant: TestTenant;
  let names = 0;
  beforeAll(async () => {
    target = await Target.start({ set: { "plugins.mqtt.config.latencyPeriod": "1s" } });
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  const named = (name: string) => `${name} ${++names}`;
  async function gateway(level: Level, additionalInfo: object = {}) {
    const device = await tenant.gateway(additionalInfo);
    const peer = await MqttDevice.connect(target, { level, username: device.token });
    const say = (what: string, document: unknown) =>
      peer.say(`v1/gateway/${what}`, typeof document === "string" ? document : JSON.stringify(document));
    return { ...device, peer, say, [Symbol.dispose]: () => peer.destroy() };
  }
  const child = (name: string) =>
    eventually(
      async () => (await tenant.rest.call("GET", `/api/tenant/devices?deviceName=${encodeURIComponent(name)}`)).body,
      (found) => found?.name === name,
    );
  const idOf = async (name: string) => (await child(name)).id.id as string;
  const events = (id: string, wanted: string, count = 1) =>
    eventually(
      () => tenant.eventsOf(id),
      (types) => types.filter((type) => type === wanted).length >= count,
    );
  const code = (level: Level, v5: number) => (level === 5 ? v5 : 0);

  rowOnBoth("GW-01", "a device connects: made, of the type's profile, related to its gateway", async (level) => {
    using at = await gateway(level);
    const name = named("A1");
    expect(await at.say("connect", { device: name, type: "meter" })).toBe(0);
    const made = await child(name);
    expect([made.type, made.additionalInfo.lastConnectedGateway]).toEqual(["meter", at.id]);
    const relations = await tenant.rest.get(`/api/relations?fromId=${at.id}&fromType=DEVICE`);
    expect(relations).toMatchObject([{ to: { id: made.id.id }, type: "Created" }]);
    await events(made.id.id, "CONNECT_EVENT");
  });

  row("GW-02", "without a type it is of the default profile", async () => {
    using at = await gateway(4);
    const name = named("A2");
    await at.say("connect", { device: name });
    expect((await child(name)).type).toBe("default");
  });

  rowOnBoth("GW-03", "values of several devices make and connect them, with one acknowledgement", async (level) => {
    using at = await gateway(level);
    const [a, b] = [named("A3"), named("B3")];
    expect(await at.say("telemetry", { [a]: [{ t: 1 }], [b]: [{ t: 2 }] })).toBe(0);
    expect(at.peer.packets).toEqual([]);
    for (const [name, value] of [
      [a, 1],
      [b, 2],
    ] as const) {
      const id = await idOf(name);
      await eventually(
        () => tenant.latest(id, ["t"]),
        ({ t }) => t?.value === value,
      );
    }
  });

  row("GW-04", "items with a time keep it", async () => {
    using at = await gateway(4);
    const name = named("A4");
    await at.say("telemetry", { [name]: [{ ts: 1_700_000_000_000, values: { t: 1 } }] });
    const id = await idOf(name);
    await eventually(
      () => tenant.latest(id, ["t"]),
      ({ t }) => t?.ts === 1_700_000_000_000,
    );
  });

  row("GW-05", "attributes are client attributes of the device", async () => {
    using at = await gateway(4);
    const name = named("A5");
    await at.say("attributes", { [name]: { k: 1 } });
    const id = await idOf(name);
    await eventually(
      () => tenant.attributes(id, "CLIENT_SCOPE"),
      ({ k }) => k === 1,
    );
  });

  async function withShared(level: Level, values: object) {
    const at = await gateway(level);
    const name = named("A");
    await at.say("connect", { device: name });
    const id = await idOf(name);
    // Subscribed by now: the push of these is heard and passed over.
    await pause(400);
    await tenant.saveAttributes(id, "SHARED_SCOPE", values);
    const pushed = await at.peer.hear();
    return { ...at, name, childId: id, pushed };
  }
  const ask = async (at: Awaited<ReturnType<typeof withShared>>, more: object) => {
    expect(await at.say("attributes/request", { id: 3, device: at.name, client: false, ...more })).toBe(0);
    const { topic, text } = await at.peer.hear();
    expect(topic).toBe("v1/gateway/attributes/response");
    return JSON.parse(text);
  };

  row("GW-06", "one attribute asked for by key", async () => {
    using at = await withShared(4, { interval: 30 });
    expect(await ask(at, { key: "interval" })).toEqual({ id: 3, device: at.name, value: 30 });
  });
  row("GW-07", "two asked for by keys", async () => {
    using at = await withShared(5, { a: 1, b: 2 });
    expect(await ask(at, { keys: ["a", "b"] })).toEqual({ id: 3, device: at.name, values: { a: 1, b: 2 } });
  });
  row("GW-08", "one that is not there", async () => {
    using at = await withShared(5, { a: 1 });
    expect(await ask(at, { key: "x" })).toEqual({ id: 3, device: at.name });
  });
  row("GW-09", "saved shared attributes are pushed", async () => {
    using at = await withShared(4, { interval: 60 });
    expect(at.pushed.topic).toBe("v1/gateway/attributes");
    expect(JSON.parse(at.pushed.text)).toEqual({ device: at.name, data: { interval: 60 } });
  });
  row("GW-10", "and so is their removal", async () => {
    using at = await withShared(5, { interval: 60 });
    await tenant.deleteAttributes(at.childId, "SHARED_SCOPE", ["interval"]);
    expect(JSON.parse((await at.peer.hear()).text)).toEqual({ device: at.name, data: { deleted: ["interval"] } });
  });
  rowOnBoth("GW-11", "a call to the device, and its answer", async (level) => {
    using at = await withShared(level, { a: 1 });
    const answer = tenant.rest.call("POST", `/api/rpc/twoway/${at.childId}`, { method: "reset", params: {} });
    const { topic, text } = await at.peer.hear();
    expect(topic).toBe("v1/gateway/rpc");
    const { device, data } = JSON.parse(text);
    expect([device, data.method]).toEqual([at.name, "reset"]);
    expect(await at.say("rpc", { device: at.name, id: data.id, data: { ok: true } })).toBe(0);
    expect((await answer).body).toEqual({ ok: true });
  });
  rowOnBoth("GW-12", "a disconnected device is not reached any more", async (level) => {
    using at = await withShared(level, { a: 1 });
    expect(await at.say("disconnect", { device: at.name })).toBe(0);
    await events(at.childId, "DISCONNECT_EVENT");
    const call = { method: "m", params: {}, timeout: 1 };
    expect((await tenant.rest.call("POST", `/api/plugins/rpc/twoway/${at.childId}`, call)).status).toBe(409);
    expect(at.peer.packets).toEqual([]);
  });
  row("GW-13", "disconnecting who is unknown is acknowledged", async () => {
    using at = await gateway(5);
    expect(await at.say("disconnect", { device: "nobody" })).toBe(0);
  });

  row("GW-14", "a device of the tenant is adopted by its name", async () => {
    using at = await gateway(4);
    const device = await tenant.device();
    await at.say("telemetry", { [device.name]: [{ t: 5 }] });
    await eventually(
      () => tenant.latest(device.id, ["t"]),
      ({ t }) => t?.value === 5,
    );
    expect((await child(device.name)).id.id).toBe(device.id);
  });

  row("GW-15", "two gateways that name a new device at once make one", async () => {
    using one = await gateway(4);
    using other = await gateway(5);
    const name = named("A15");
    await Promise.all([one.say("telemetry", { [name]: [{ a: 1 }] }), other.say("telemetry", { [name]: [{ b: 1 }] })]);
    const id = await idOf(name);
    await eventually(
      () => tenant.latest(id, ["a", "b"]),
      ({ a, b }) => a?.value === 1 && b?.value === 1,
    );
    const page = await tenant.rest.get(`/api/tenant/devices?pageSize=10&page=0&textSearch=${encodeURIComponent(name)}`);
    expect(page.totalElements).toBe(1);
  });

  row("GW-16", "a direct connection takes the device, and the gateway takes it back", async () => {
    using at = await gateway(5);
    const device = await tenant.device();
    await at.say("connect", { device: device.name });
    await events(device.id, "CONNECT_EVENT");
    using direct = await MqttDevice.connect(target, { level: 5, username: device.token });
    await events(device.id, "CONNECT_EVENT", 2);
    expect(await at.peer.stays()).toBe(true);
    expect(await at.say("telemetry", { [device.name]: [{ t: 1 }] })).toBe(0);
    await direct.closed();
    await eventually(
      () => tenant.latest(device.id, ["t"]),
      ({ t }) => t?.value === 1,
    );
  });

  rowOnBoth("GW-17", "what cannot be read", async (level) => {
    using at = await gateway(level);
    at.peer.publish("v1/gateway/telemetry", "{broken");
    if (level === 4) await at.peer.closedUnanswered();
    else {
      expect((await at.peer.next("puback")).reasonCode).toBe(0x99);
      expect(await at.peer.stays()).toBe(true);
    }
  });

  rowOnBoth("GW-18", "a member that is no list is passed over", async (level) => {
    using at = await gateway(level);
    const name = named("A18");
    expect(await at.say("telemetry", { X: 5, [name]: [{ t: 1 }] })).toBe(0);
    const id = await idOf(name);
    await eventually(
      () => tenant.latest(id, ["t"]),
      ({ t }) => t?.value === 1,
    );
  });

  rowOnBoth("GW-19", "an empty document is acknowledged", async (level) => {
    using at = await gateway(level);
    expect(await at.say("telemetry", "{}")).toBe(0);
    expect(await at.peer.stays()).toBe(true);
  });

  row("GW-20", "who is no gateway has no devices", async () => {
    const { token } = await tenant.device();
    using peer = await MqttDevice.connect(target, { username: token });
    peer.publish("v1/gateway/telemetry", '{"A20":[{"t":1}]}');
    expect(await peer.stays()).toBe(true);
    expect((await tenant.rest.call("GET", "/api/tenant/devices?deviceName=A20")).status).toBe(404);
  });

  rowOnBoth("GW-21", "an unknown topic of the gateway API", async (level) => {
    using at = await gateway(level);
    expect(await at.say("foo", "{}")).toBe(code(level, 0x90));
  });

  row("GW-22", "latencies are not stored with the values, and become telemetry of the gateway", async () => {
    using at = await gateway(5);
    const name = named("A22");
    const now = Date.now();
    const item = {
      ts: 1_700_000_000_000,
      values: { t: 1 },
      metadata: { connector: "Modbus", receivedTs: now - 5, publishedTs: now },
    };
    expect(await at.say("telemetry", { [name]: [item] })).toBe(0);
    const id = await idOf(name);
    await eventually(
      () => tenant.latest(id),
      ({ t }) => t?.ts === 1_700_000_000_000,
    );
    expect(Object.keys(await tenant.latest(id))).toEqual(["t"]);
    const { gatewayMetrics } = await eventually(
      () => tenant.latest(at.id),
      (found) => found["gatewayMetrics"] !== undefined,
    );
    expect(gatewayMetrics?.value).toMatchObject({ Modbus: { avgGwLatency: 5, minGwLatency: 5, maxGwLatency: 5 } });
  });

  rowOnBoth("GW-23", "latencies that are not whole", async (level) => {
    using at = await gateway(level);
    const item = { ts: 1, values: { t: 1 }, metadata: { connector: "M", publishedTs: 1 } };
    at.peer.publish("v1/gateway/telemetry", JSON.stringify({ A23: [item] }));
    if (level === 4) await at.peer.closed();
    else expect((await at.peer.next("puback")).reasonCode).toBe(0x99);
  });

  row("GW-26", "a claim for a device", async () => {
    using at = await gateway(5);
    const name = named("A26");
    expect(await at.say("claim", { [name]: { secretKey: "k" } })).toBe(0);
    await child(name);
    const { rest } = await tenant.customer();
    const path = `/api/customer/device/${encodeURIComponent(name)}/claim`;
    expect((await rest.call("POST", path, { secretKey: "k" })).status).toBe(200);
  });

  row("GW-27", "when the connection drops, the gateway and its devices are disconnected", async () => {
    const at = await gateway(4);
    const name = named("A27");
    await at.say("connect", { device: name });
    const id = await idOf(name);
    await events(id, "CONNECT_EVENT");
    at.peer.destroy();
    await events(id, "DISCONNECT_EVENT");
    await events(at.id, "DISCONNECT_EVENT");
  });

  row("GW-28", "a device becomes a gateway with its next connection", async () => {
    const device = await tenant.device();
    using before = await MqttDevice.connect(target, { username: device.token });
    const stored = await tenant.rest.get(`/api/device/${device.id}`);
    await tenant.rest.post("/api/device", { ...stored, additionalInfo: { gateway: true } });
    await pause(300);
    const name = named("A28");
    before.publish("v1/gateway/connect", JSON.stringify({ device: name }));
    expect(await before.stays()).toBe(true);
    using after = await MqttDevice.connect(target, { username: device.token });
    expect(await after.say("v1/gateway/connect", JSON.stringify({ device: name }))).toBe(0);
    await child(name);
  });

  row("GW-29", "pings of the gateway keep its devices active where it says so", async () => {
    using at = await gateway(5, { overwriteActivityTime: true });
    const name = named("A29");
    await at.say("connect", { device: name });
    const id = await idOf(name);
    const time = async () => (await tenant.attributes(id, "SERVER_SCOPE"))["lastActivityTime"] as number;
    const before = await eventually(time, (ms) => ms > 0);
    await eventually(
      async () => {
        await at.peer.stays();
        return time();
      },
      (ms) => ms > before,
    );
  });

  row("GW-30", "an empty list of keys asks for all attributes of both scopes", async () => {
    using at = await withShared(5, { s0: 0, s1: 1 });
    await at.say("attributes", { [at.name]: { c0: 0, c1: 1 } });
    await eventually(
      () => tenant.attributes(at.childId, "CLIENT_SCOPE"),
      ({ c1 }) => c1 === 1,
    );
    expect(await ask(at, { keys: [] })).toEqual({ id: 3, device: at.name, values: { c0: 0, c1: 1, s0: 0, s1: 1 } });
  });
});
