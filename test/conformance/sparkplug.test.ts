import protobuf from "protobufjs";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { MqttDevice } from "./mqtt.ts";
import { type Level, rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, pause, TestTenant } from "./tenant.ts";

const { root } = protobuf.parse(
  `syntax = "proto2"; message Metric { optional string name = 1; optional uint64 timestamp = 3; optional uint32 datatype = 4;
   optional uint32 int_value = 10; optional uint64 long_value = 11; optional float float_value = 12; optional bool boolean_value = 14; }
   message Payload { optional uint64 timestamp = 1; repeated Metric metrics = 2; optional uint64 seq = 3; }`,
  { keepCase: true },
);
const type = root.lookupType("Payload");
const payload = (...metrics: object[]) =>
  Buffer.from(type.encode(type.fromObject({ timestamp: Date.now(), metrics, seq: 0 })).finish());
const bdSeq = { name: "bdSeq", datatype: 8, long_value: 1 };
const state = "sparkplugConnectionState";

describe.concurrent("device-api 9.7, Sparkplug B", () => {
  let target: Target;
  let tenant: TestTenant;
  let profileId: string;
  let names = 0;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
    profileId = await tenant.profile({
      transport: { type: "MQTT", sparkplug: true, sparkplugAttributesMetricNames: ["Properties/*"] },
    });
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  const connecting = (level: Level, username: string, node: string) => ({
    ...{ username, clientId: "c", clean: true },
    will: { topic: `spBv1.0/G/NDEATH/${node}`, payload: payload(bdSeq), qos: 1 as const, retain: false },
    ...(level === 5 ? { properties: { sessionExpiryInterval: 0 } } : {}),
  });
  async function node(level: Level) {
    const device = await tenant.device({ profileId });
    const name = `E${++names}`;
    const peer = await MqttDevice.connect(target, { level, ...connecting(level, device.token, name) });
    const say = (what: string, ...metrics: object[]) => peer.say(`spBv1.0/G/${what}`, payload(...metrics));
    return { ...device, node: name, peer, say, [Symbol.dispose]: () => peer.destroy() };
  }

  rowOnBoth("SPB-01", "without a death in its will a node is refused", async (level) => {
    const { token } = await tenant.device({ profileId });
    using peer = new MqttDevice(target.mqtt, level);
    const { will: _, ...rest } = connecting(level, token, "E");
    peer.connect(rest);
    const { returnCode, reasonCode } = (await peer.next("connack")) as { returnCode?: number; reasonCode?: number };
    expect(returnCode ?? reasonCode).toBe(level === 5 ? 0x88 : 3);
    await peer.closed();
  });

  rowOnBoth("SPB-02", "a birth is telemetry, shared attributes, and online", async (level) => {
    using at = await node(level);
    const metrics = [
      { name: "int8", datatype: 1, int_value: 0xfffffffd },
      { name: "float", datatype: 9, float_value: 3.25 },
      { name: "Properties/hw", datatype: 3, int_value: 7 },
    ];
    expect(await at.say(`NBIRTH/${at.node}`, bdSeq, ...metrics)).toBe(0);
    await eventually(
      () => tenant.latest(at.id),
      (found) => found["int8"]?.value === -3 && found["float"]?.value === 3.25 && found[state]?.value === "ONLINE",
    );
    expect(await tenant.attributes(at.id, "SHARED_SCOPE")).toMatchObject({ "Properties/hw": 7 });
    expect((await tenant.latest(at.id))["NBIRTH bdSeq"]?.value).toBe(1);
  });

  rowOnBoth("SPB-03", "devices become children", async (level) => {
    using at = await node(level);
    const name = `dev ${at.node}`;
    await at.say(`NBIRTH/${at.node}`, bdSeq);
    expect(await at.say(`DBIRTH/${at.node}/${name}`, { name: "t", datatype: 3, int_value: 5 })).toBe(0);
    const child = await eventually(
      async () => (await tenant.rest.call("GET", `/api/tenant/devices?deviceName=${encodeURIComponent(name)}`)).body,
      (found) => found?.name === name,
    );
    expect(child.type).toMatch(/ device$/);
    await eventually(
      () => tenant.latest(child.id.id),
      ({ t }) => t?.value === 5,
    );
  });

  rowOnBoth("SPB-04", "when the connection drops, node and devices are offline", async (level) => {
    const at = await node(level);
    const name = `dev ${at.node}`;
    await at.say(`NBIRTH/${at.node}`, bdSeq);
    await at.say(`DBIRTH/${at.node}/${name}`, { name: "t", datatype: 3, int_value: 5 });
    at.peer.destroy();
    const child = await tenant.deviceByName(name);
    for (const id of [at.id, child.id.id])
      await eventually(
        () => tenant.latest(id),
        (found) => found[state]?.value === "OFFLINE",
      );
  });

  rowOnBoth("SPB-05", "shared attributes of announced metrics go down as commands", async (level) => {
    using at = await node(level);
    expect(await at.peer.subscribe(`spBv1.0/G/NCMD/${at.node}`, `spBv1.0/G/DCMD/${at.node}/+`)).toEqual([1, 1]);
    await at.say(`NBIRTH/${at.node}`, bdSeq, { name: "rate", datatype: 3, int_value: 1 });
    await pause(400);
    await tenant.saveAttributes(at.id, "SHARED_SCOPE", { rate: 9 });
    const { topic, payload: bytes } = await at.peer.hear();
    expect(topic).toBe(`spBv1.0/G/NCMD/${at.node}`);
    expect(type.toObject(type.decode(bytes))).toMatchObject({ metrics: [{ name: "rate", datatype: 3, int_value: 9 }] });
  });

  rowOnBoth("SPB-06", "a call writes a metric", async (level) => {
    using at = await node(level);
    await at.peer.subscribe(`spBv1.0/G/NCMD/${at.node}`);
    await at.say(`NBIRTH/${at.node}`, bdSeq, { name: "Node Control/Rebirth", datatype: 11, boolean_value: false });
    await pause(400);
    const params = { metricName: "Node Control/Rebirth", value: true };
    const answer = tenant.rest.call("POST", `/api/rpc/twoway/${at.id}`, { method: "NCMD", params });
    expect(type.toObject(type.decode((await at.peer.hear()).payload))).toMatchObject({
      metrics: [{ boolean_value: true }],
    });
    expect((await answer).body).toEqual({ result: "Success: NCMD" });
  });
});
