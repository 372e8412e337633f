import protobuf from "protobufjs";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { Peer as CoapPeer } from "../../plugins/transport-coap/testing/server.ts";
import { MqttDevice } from "./mqtt.ts";
import { row, rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { entity, eventually, pause, TestTenant } from "./tenant.ts";

const telemetry = "v1/devices/me/telemetry";
const attributes = "v1/devices/me/attributes";

describe.concurrent("device-api 9.7, rate limits", () => {
  let target: Target;
  beforeAll(async () => {
    target = await Target.start();
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  /** A tenant whose profile limits something. */
  async function limited(configuration: object): Promise<TestTenant> {
    const tenant = await TestTenant.create(target);
    const profile = await tenant.system.post("/api/tenantProfile", {
      name: `limits ${Date.now()} ${Math.random()}`,
      profileData: { configuration: { type: "DEFAULT", ...configuration } },
    });
    const stored = await tenant.system.get(`/api/tenant/${tenant.id}`);
    await tenant.system.post("/api/tenant", { ...stored, tenantProfileId: entity("TENANT_PROFILE", profile.id.id) });
    return tenant;
  }

  rowOnBoth("LIM-01", "of six messages with a limit of five the sixth ends the connection", async (level) => {
    const tenant = await limited({ transportDeviceTelemetryMsgRateLimit: "5:60" });
    using peer = await MqttDevice.connect(target, { level, username: (await tenant.device()).token });
    for (let n = 0; n < 5; n++) expect(await peer.say(telemetry, `{"n":${n}}`)).toBe(0);
    peer.publish(telemetry, '{"n":5}');
    if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x83);
    await peer.closedUnanswered();
  });

  rowOnBoth("LIM-02", "sessions above the limit are refused", async (level) => {
    const tenant = await limited({ transportDeviceMsgRateLimit: "1:60" });
    const { token } = await tenant.device();
    const node = target.oneNode();
    (await MqttDevice.connect(node, { level, username: token })).destroy();
    using peer = new MqttDevice(node.mqtt, level);
    peer.connect({ username: token });
    const { returnCode, reasonCode } = (await peer.next("connack")) as { returnCode?: number; reasonCode?: number };
    expect(returnCode ?? reasonCode).toBe(level === 5 ? 0x9f : 3);
    await peer.closed();
  });

  row("LIM-03", "more data points than the limit", async () => {
    const tenant = await limited({ transportDeviceTelemetryDataPointsRateLimit: "3:60" });
    using peer = await MqttDevice.connect(target, { username: (await tenant.device()).token });
    peer.publish(telemetry, '{"a":1,"b":2,"c":3,"d":4}');
    await peer.closedUnanswered();
  });

  row("LIM-05", "over HTTP 500, over CoAP 5.00", async () => {
    const tenant = await limited({ transportDeviceTelemetryMsgRateLimit: "1:60" });
    const { token } = await tenant.device();
    const node = target.oneNode();
    const post = () => fetch(`${node.http}/api/v1/${token}/telemetry`, { method: "POST", body: '{"a":1}' });
    expect([(await post()).status, (await post()).status]).toEqual([200, 500]);
    const peer = await CoapPeer.open(node.coap);
    peer.request("POST", `api/v1/${token}/telemetry`, { payload: Buffer.from('{"a":1}') });
    await eventually(
      () => peer.received[0]?.code,
      (code) => code !== undefined,
    );
    expect(peer.received[0]?.code).toBe("5.00");
    peer.close();
  });

  rowOnBoth("GW-24", "what a gateway sends above its limit is refused, and ends the connection", async (level) => {
    const tenant = await limited({ transportGatewayTelemetryMsgRateLimit: "3:60" });
    using peer = await MqttDevice.connect(target, { level, username: (await tenant.gateway()).token });
    const say = () => peer.say("v1/gateway/telemetry", '{"A":[{"t":1}]}');
    for (let n = 0; n < 3; n++) expect(await say()).toBe(0);
    expect(await say()).toBe(level === 5 ? 0x97 : 0);
    await peer.closed();
  });

  rowOnBoth("GW-25", "a tenant that may have no more devices", async (level) => {
    const tenant = await limited({ maxDevices: 1 });
    using peer = await MqttDevice.connect(target, { level, username: (await tenant.gateway()).token });
    expect(await peer.say("v1/gateway/connect", '{"device":"one more"}')).toBe(level === 5 ? 0x97 : 0);
    expect(await peer.stays()).toBe(true);
  });
});

describe("device-api 9.7, addresses", () => {
  row(
    "LIM-04",
    "after ten wrong credentials an address is refused unheard",
    async () => {
      await using target = await Target.start({ set: { "plugins.devices.config.blockAfter": "10" } });
      const tenant = await TestTenant.create(target);
      const { token } = await tenant.device();
      const { mqtt } = target;
      for (let n = 0; n < 10; n++) {
        using peer = new MqttDevice(mqtt, 4);
        peer.connect({ username: "nobody" });
        expect((await peer.next("connack", 15_000)).returnCode).toBe(5);
      }
      using peer = new MqttDevice(mqtt, 4);
      peer.connect({ username: token });
      await peer.closed();
      expect(peer.bytes).toEqual([]);
    },
    60_000,
  );
});

describe.concurrent("device-api 9.7, Protobuf", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  const schema = `syntax = "proto3"; message Inner { int32 unused = 1; }
    message Post { int32 temp = 1; optional double hum = 2; string mode = 3; }`;
  const post = protobuf.parse(schema, { keepCase: true }).root.lookupType("Post");
  const bytes = (message: object) => Buffer.from(post.encode(post.fromObject(message)).finish());

  async function connected(more: object = {}) {
    const profileId = await tenant.profile({
      transport: {
        type: "MQTT",
        transportPayloadTypeConfiguration: {
          transportPayloadType: "PROTOBUF",
          deviceTelemetryProtoSchema: schema,
          deviceAttributesProtoSchema: schema,
          ...more,
        },
      },
    });
    const device = await tenant.device({ profileId });
    const peer = await MqttDevice.connect(target, { level: 5, username: device.token });
    return { ...device, peer, [Symbol.dispose]: () => peer.destroy() };
  }

  row("PB-01", "telemetry by the schema: plain fields with their defaults, optional ones only when sent", async () => {
    using device = await connected();
    expect(await device.peer.say(telemetry, bytes({ temp: 5 }))).toBe(0);
    await eventually(
      () => tenant.latest(device.id),
      ({ temp, mode }) => temp?.value === 5 && mode?.value === "",
    );
    expect(await tenant.latest(device.id)).not.toHaveProperty("hum");
  });

  row("PB-02", "JSON is a payload error", async () => {
    using device = await connected();
    expect(await device.peer.say(telemetry, '{"temp":5}')).toBe(0x99);
  });

  row("PB-03", "unless the profile says that it may come", async () => {
    using device = await connected({ enableCompatibilityWithJsonPayloadFormat: true });
    expect(await device.peer.say(telemetry, '{"json":5}')).toBe(0);
    await eventually(
      () => tenant.latest(device.id),
      ({ json }) => json?.value === 5,
    );
  });

  row("PB-04", "`v2/t/j` is JSON whatever the profile says", async () => {
    using device = await connected();
    expect(await device.peer.say("v2/t/j", '{"json":6}')).toBe(0);
    await eventually(
      () => tenant.latest(device.id),
      ({ json }) => json?.value === 6,
    );
  });

  row("PB-05", "a call is a message, and so is its answer", async () => {
    using device = await connected();
    await device.peer.subscribe("v1/devices/me/rpc/request/+");
    await pause(400);
    const answer = tenant.rest.call("POST", `/api/rpc/twoway/${device.id}`, { method: "m", params: { on: true } });
    const { topic, payload } = await device.peer.hear();
    const { root } = protobuf.parse(
      `syntax = "proto3"; message Req { optional string method = 1; optional int32 requestId = 2; optional string params = 3; }
       message Res { optional string payload = 1; }`,
      { keepCase: true },
    );
    expect(root.lookupType("Req").decode(payload)).toMatchObject({ method: "m", params: '{"on":true}' });
    const type = root.lookupType("Res");
    const id = topic.split("/").at(-1);
    await device.peer.say(
      `v1/devices/me/rpc/response/${id}`,
      Buffer.from(type.encode(type.fromObject({ payload: '{"ok":1}' })).finish()),
    );
    expect((await answer).body).toEqual({ ok: 1 });
  });

  row("PB-06", "attributes are asked for and answered in Protobuf", async () => {
    using device = await connected();
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { k: 7 });
    expect(await device.peer.say("v1/devices/me/attributes/request/5", Buffer.alloc(0))).toBe(0);
    const { payload } = await device.peer.hear();
    expect(payload.subarray(0, 2).toString("hex")).toBe("0805");
    expect(payload.includes("k")).toBe(true);
  });

  row("PB-07", "of several messages the last is the payload", async () => {
    using device = await connected();
    expect(await device.peer.say(attributes, bytes({ mode: "eco" }))).toBe(0);
    await eventually(
      () => tenant.attributes(device.id, "CLIENT_SCOPE"),
      ({ mode }) => mode === "eco",
    );
  });
});
