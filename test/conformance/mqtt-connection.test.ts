import { afterAll, beforeAll, describe, expect } from "vitest";
import { connectPacket, Peer, publishPacket } from "../../plugins/transport-mqtt/testing/peer.ts";
import { MqttDevice } from "./mqtt.ts";
import { row, rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, pause, TestTenant } from "./tenant.ts";

const telemetry = "v1/devices/me/telemetry";
const attributes = "v1/devices/me/attributes";

describe.concurrent("device-api 9.3, connections", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start({ set: { "plugins.devices.config.sessionIdle": "8s" } });
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  const connected = async (level: 4 | 5, more: object = {}) => {
    const device = await tenant.device();
    return { ...device, peer: await MqttDevice.connect(target, { level, username: device.token, ...more }) };
  };

  rowOnBoth("MQTT-CON-01", "packets behind the CONNECT are answered in order", async (level) => {
    const { id, token } = await tenant.device();
    using peer = new MqttDevice(target.mqtt, level);
    peer.send(
      connectPacket(level, { username: token }),
      { cmd: "subscribe", messageId: 5, subscriptions: [{ topic: attributes, qos: 1 }] },
      publishPacket(telemetry, '{"con":1}', { messageId: 6 }),
    );
    await peer.until(() => peer.packets.length >= 3, "three answers");
    expect(peer.packets.map(({ cmd, messageId }) => [cmd, messageId])).toEqual([
      ["connack", undefined],
      ["suback", 5],
      ["puback", 6],
    ]);
    await eventually(
      () => tenant.latest(id, ["con"]),
      ({ con }) => con?.value === 1,
    );
  });

  rowOnBoth("MQTT-CON-02", "a PUBLISH before any CONNECT gets no reply", async (level) => {
    using peer = new MqttDevice(target.mqtt, level);
    peer.publish(telemetry, '{"a":1}');
    await pause(300);
    expect(peer.bytes).toEqual([]);
  });

  rowOnBoth("MQTT-CON-03", "PINGREQ is answered", async (level) => {
    const { peer } = await connected(level);
    expect(await peer.stays()).toBe(true);
    peer.destroy();
  });

  rowOnBoth("MQTT-CON-04", "a packet above the limit ends the connection", async (level) => {
    const { peer } = await connected(level);
    peer.publish(telemetry, `{"a":"${"x".repeat(70_000)}"}`);
    if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x81);
    await peer.closed();
  });

  rowOnBoth("MQTT-CON-05", "a wildcard in the topic of a PUBLISH ends the connection", async (level) => {
    const { peer } = await connected(level);
    // The codec of the client refuses to write such a topic.
    const bytes = peer.encode(publishPacket("v1/devices/X/telemetry", '{"a":1}'));
    bytes[bytes.indexOf("X")] = "+".charCodeAt(0);
    peer.socket.write(bytes);
    await peer.closed();
    expect(peer.packets.some(({ cmd }) => cmd === "puback")).toBe(false);
  });

  rowOnBoth("MQTT-CON-06", "a QoS 2 PUBLISH is stored, with a correct exchange", async (level) => {
    const { id, peer } = await connected(level);
    peer.publish(telemetry, '{"two":2}', { qos: 2, messageId: 7 });
    expect((await peer.next("pubrec")).messageId).toBe(7);
    peer.send({ cmd: "pubrel", messageId: 7, qos: 1 });
    expect((await peer.next("pubcomp")).messageId).toBe(7);
    await eventually(
      () => tenant.latest(id, ["two"]),
      ({ two }) => two?.value === 2,
    );
    peer.destroy();
  });

  rowOnBoth("MQTT-CON-07", "nothing is retained", async (level) => {
    const { token, peer } = await connected(level);
    peer.publish(attributes, '{"kept":1}', { retain: true });
    await peer.next("puback");
    using other = await MqttDevice.connect(target, { level, username: token });
    expect(await other.subscribe(attributes)).toEqual([1]);
    await pause(400);
    expect(other.packets.filter(({ cmd }) => cmd === "publish")).toEqual([]);
    peer.destroy();
  });

  rowOnBoth("MQTT-CON-08", "a will is neither stored nor published", async (level) => {
    const will = { topic: telemetry, payload: Buffer.from('{"will":1}'), qos: 1 as const, retain: false };
    const { id, peer } = await connected(level, { will });
    await peer.say(telemetry, '{"alive":1}');
    peer.destroy();
    await eventually(
      () => tenant.eventsOf(id),
      (events) => events.includes("DISCONNECT_EVENT"),
    );
    expect((await tenant.latest(id, ["will"]))["will"]?.value ?? null).toBeNull();
  });

  row("MQTT-CON-09", "keep-alive is the client's promise: silence beyond one and a half of it may end it", async () => {
    const { peer } = await connected(5, { keepalive: 2 });
    expect((await peer.next("disconnect", 8_000)).reasonCode).toBe(0x8d);
  });

  rowOnBoth(
    "MQTT-CON-10",
    "silence beyond the idle time of sessions ends it",
    async (level) => {
      const { peer } = await connected(level);
      await peer.closed(40_000);
    },
    60_000,
  );

  rowOnBoth("MQTT-CON-11", "the newer connection of a device wins", async (level) => {
    const { token, peer } = await connected(level);
    using newer = await MqttDevice.connect(target, { level, username: token });
    if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x8e);
    await peer.closed();
    expect(await newer.stays()).toBe(true);
  });

  rowOnBoth("MQTT-CON-12", "two devices may have one client id", async (level) => {
    const one = await connected(level, { clientId: "same" });
    const other = await connected(level, { clientId: "same" });
    await pause(300);
    expect(await one.peer.stays()).toBe(true);
    expect(await other.peer.stays()).toBe(true);
    one.peer.destroy();
    other.peer.destroy();
  });

  row("MQTT-CON-13", "3.1.1 with an empty client id and a token", async () => {
    const { peer } = await connected(4, { clientId: "" });
    expect(await peer.stays()).toBe(true);
    peer.destroy();
  });

  rowOnBoth("MQTT-CON-14", "session present mirrors the flag, and nothing is restored", async (level) => {
    const { id, token } = await tenant.device();
    for (const round of [1, 2]) {
      using peer = new MqttDevice(target.mqtt, level);
      peer.connect({ username: token, clientId: "c", clean: false });
      expect((await peer.next("connack")).sessionPresent).toBe(true);
      if (round === 1) await peer.subscribe(attributes);
      else {
        await tenant.saveAttributes(id, "SHARED_SCOPE", { k: 1 });
        await pause(400);
        expect(peer.packets.filter(({ cmd }) => cmd === "publish")).toEqual([]);
      }
    }
  });

  row("MQTT-CON-15", "an unknown protocol level is closed without a CONNACK", async () => {
    const peer = new Peer(target.mqtt, 4);
    const bytes = peer.encode(connectPacket(4, { username: "x" }));
    bytes[8] = 9;
    peer.socket.write(bytes);
    await peer.closed();
    expect(peer.bytes).toEqual([]);
    peer.destroy();
  });

  rowOnBoth("MQTT-CON-16", "DISCONNECT ends the session", async (level) => {
    const { id, peer } = await connected(level);
    peer.send({ cmd: "disconnect", reasonCode: 0 });
    await peer.closed();
    await eventually(
      () => tenant.eventsOf(id),
      (events) => events.includes("DISCONNECT_EVENT"),
    );
  });

  rowOnBoth("MQTT-CON-17", "a repeated packet id is processed again", async (level) => {
    const { id, peer } = await connected(level);
    peer.publish(telemetry, '{"ts":1700000000001,"values":{"dup":1}}', { messageId: 3 });
    peer.publish(telemetry, '{"ts":1700000000002,"values":{"dup":2}}', { messageId: 3, dup: true });
    await peer.next("puback");
    await peer.next("puback");
    await eventually(
      () => tenant.history(id, "dup"),
      (all) => all.length === 2,
    );
    peer.destroy();
  });
});

describe.concurrent("device-api 9.3, subscriptions", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  const refused = (level: 4 | 5) => (level === 5 ? 0x8f : 0x80);

  async function connected(level: 4 | 5) {
    const device = await tenant.device();
    const peer = await MqttDevice.connect(target, { level, username: device.token });
    const grant = async (...subscriptions: { topic: string; qos: number }[]) => {
      peer.send({ cmd: "subscribe", messageId: 11, subscriptions });
      return (await peer.next("suback")).granted;
    };
    const drop = async (...topics: string[]) => {
      peer.send({ cmd: "unsubscribe", messageId: 12, unsubscriptions: topics });
      return (await peer.next("unsuback")).granted;
    };
    return { ...device, peer, grant, drop, [Symbol.dispose]: () => peer.destroy() };
  }

  rowOnBoth("MQTT-SUB-01", "QoS 1 is granted", async (level) => {
    using device = await connected(level);
    expect(await device.grant({ topic: attributes, qos: 1 })).toEqual([1]);
  });

  rowOnBoth("MQTT-SUB-02", "of QoS 2, 1 is granted", async (level) => {
    using device = await connected(level);
    expect(await device.grant({ topic: attributes, qos: 2 })).toEqual([1]);
  });

  rowOnBoth("MQTT-SUB-03", "at QoS 0 commands come at QoS 0", async (level) => {
    using device = await connected(level);
    expect(await device.grant({ topic: "v1/devices/me/rpc/request/+", qos: 0 })).toEqual([0]);
    const sent = tenant.rest.call("POST", `/api/rpc/oneway/${device.id}`, { method: "m", params: {} });
    expect(await device.peer.hear()).toMatchObject({ qos: 0, text: '{"method":"m","params":{}}' });
    expect((await sent).status).toBe(200);
  });

  rowOnBoth("MQTT-SUB-04", "responses may be subscribed", async (level) => {
    using device = await connected(level);
    const topics = ["v1/devices/me/attributes/response/+", "v1/devices/me/rpc/response/+"];
    expect(await device.peer.subscribe(...topics)).toEqual([1, 1]);
  });

  rowOnBoth("MQTT-SUB-05", "`#` is refused and the connection stays", async (level) => {
    using device = await connected(level);
    expect(await device.peer.subscribe("#")).toEqual([refused(level)]);
    expect(await device.peer.stays()).toBe(true);
  });

  rowOnBoth("MQTT-SUB-06", "wildcards beyond the known filters are refused", async (level) => {
    using device = await connected(level);
    expect(await device.peer.subscribe("v1/devices/me/+")).toEqual([refused(level)]);
  });

  rowOnBoth("MQTT-SUB-07", "each filter of a packet is judged by itself", async (level) => {
    using device = await connected(level);
    expect(await device.peer.subscribe("foo", attributes)).toEqual([refused(level), 1]);
    await pause(400);
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { k: 1 });
    expect(await device.peer.hear()).toMatchObject({ topic: attributes, text: '{"k":1}' });
  });

  rowOnBoth("MQTT-SUB-08", "`v2/fw/response/+` is refused", async (level) => {
    using device = await connected(level);
    expect(await device.peer.subscribe("v2/fw/response/+")).toEqual([refused(level)]);
    expect(await device.peer.stays()).toBe(true);
  });

  rowOnBoth("MQTT-SUB-09", "`v2/fw/response/+/chunk/+` is granted", async (level) => {
    using device = await connected(level);
    expect(await device.peer.subscribe("v2/fw/response/+/chunk/+")).toEqual([1]);
  });

  rowOnBoth("MQTT-SUB-10", "the short topics are granted", async (level) => {
    using device = await connected(level);
    const topics = ["v2/a", "v2/a/j", "v2/r/req/j/+", "v2/r/res/+", "v2/a/res/j/+"];
    expect(await device.peer.subscribe(...topics)).toEqual([1, 1, 1, 1, 1]);
  });

  rowOnBoth("MQTT-SUB-11", "after UNSUBSCRIBE nothing is pushed", async (level) => {
    using device = await connected(level);
    await device.peer.subscribe(attributes);
    const codes = await device.drop(attributes);
    if (level === 5) expect(codes).toEqual([0]);
    await pause(400);
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { k: 1 });
    await pause(400);
    expect(device.peer.packets.filter(({ cmd }) => cmd === "publish")).toEqual([]);
  });

  row("MQTT-SUB-12", "version 5 says of each filter what became of it", async () => {
    using device = await connected(5);
    expect(await device.drop(attributes)).toEqual([0x11]);
    expect([0x11, 0x8f]).toContain((await device.drop("foo/bar"))?.[0]);
  });

  rowOnBoth("MQTT-SUB-13", "a new connection has no subscriptions", async (level) => {
    using device = await connected(level);
    await device.peer.subscribe(attributes);
    device.peer.destroy();
    using again = await MqttDevice.connect(target, { level, username: device.token });
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { k: 1 });
    await pause(400);
    expect(again.packets.filter(({ cmd }) => cmd === "publish")).toEqual([]);
  });
});
