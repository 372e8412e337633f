import { Fault } from "@heddle/plugin-sdk";
import { seededRandom } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { groupCommit, stalledCommit } from "../testing/fake-sessions.ts";
import { levels, publishPacket } from "../testing/peer.ts";
import { Room } from "../testing/room.ts";

const telemetry = "v1/devices/me/telemetry";

function many(count: number, more: object = {}): object[] {
  return Array.from({ length: count }, (_, i) =>
    publishPacket(telemetry, `{"n":${i}}`, { messageId: (i % 65_535) + 1, ...more }),
  );
}

const mqttProfile = (transport: object) => ({
  token: "M",
  identity: { transportType: "MQTT", transport: transport as Record<string, unknown> },
});

describe.each(levels)("uplinks, level %i", (level) => {
  it.each([
    { topic: telemetry, kind: "telemetry" },
    { topic: "v2/t", kind: "telemetry" },
    { topic: "v2/t/j", kind: "telemetry" },
    { topic: "v1/devices/me/attributes", kind: "attributes" },
    { topic: "v2/a", kind: "attributes" },
    { topic: "v2/a/j", kind: "attributes" },
  ])("MQTT-TEL-01, TEL-02, TEL-18, ATT-01: $topic with QoS 1 and 0", async ({ topic, kind }) => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    peer.publish(topic, '{"t":0}', { qos: 0, messageId: undefined });
    peer.publish(topic, '{"t":1}', { messageId: 7 });
    expect((await peer.next("puback")).messageId).toBe(7);
    expect(room.platform.heard.map((heard) => [heard.kind, heard.text])).toEqual([
      [kind, '{"t":0}'],
      [kind, '{"t":1}'],
    ]);
    expect(peer.packets).toEqual([]);
  });

  it("MQTT-1: PUBACK and PUBREC come with a 300 ms commit, never before", async () => {
    await using room = await Room.open();
    room.platform.commit = groupCommit(300);
    const peer = await room.connected(level);
    const begun = performance.now();
    peer.send(publishPacket(telemetry, "{}"), publishPacket(telemetry, "{}", { qos: 2, messageId: 2 }));
    for (const cmd of ["puback", "pubrec"] as const) {
      const took = (await peer.next(cmd)).at - begun;
      expect(took).toBeGreaterThan(285);
      expect(took).toBeLessThan(450);
    }
  });

  it("MQTT-1: no commit, no acknowledgement", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    room.platform.commit = () => new Promise(() => {});
    peer.publish(telemetry, "{}");
    expect(await peer.stays()).toBe(true);
    expect(peer.packets).toEqual([]);
  });

  it("MQTT-2, MQTT-TEL-23: 200 messages whose commits take 0 to 30 ms are handled and acknowledged in order", async () => {
    await using room = await Room.open();
    const random = seededRandom(level);
    room.platform.commit = () => new Promise((resolve) => setTimeout(resolve, random() * 30));
    const peer = await room.connected(level);
    peer.send(...many(200));
    await peer.until(({ packets }) => packets.length === 200, "200 acknowledgements");
    const ids = Array.from({ length: 200 }, (_, i) => i + 1);
    expect(peer.packets.map(({ messageId }) => messageId)).toEqual(ids);
    expect(room.texts()).toEqual(ids.map((id) => `{"n":${id - 1}}`));
  });

  it("MQTT-3: a stalled commit holds a connection at its limit; released, everything is acknowledged", async () => {
    await using room = await Room.open();
    const stall = stalledCommit();
    room.platform.commit = stall.commit;
    const peer = await room.connected(level);
    peer.socket.setNoDelay(true);
    for (const packet of many(4000)) {
      peer.send(packet);
      if (Math.random() < 0.05) await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(room.platform.heard.length).toBeGreaterThanOrEqual(100);
    expect(room.platform.heard.length).toBeLessThanOrEqual(110);
    stall.release();
    await peer.until(({ packets }) => packets.length === 4000, "4000 acknowledgements", 5000);
    expect(new Set(peer.packets.map(({ messageId }) => messageId)).size).toBe(4000);
  });

  it("MQTT-4, QoS 0 too: 10,000 messages in one go, at most 1,000 pending", async () => {
    await using room = await Room.open();
    const stall = stalledCommit();
    room.platform.commit = stall.commit;
    const peer = await room.connected(level);
    peer.send(...many(5000), ...many(5000, { qos: 0, messageId: undefined }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(room.platform.heard.length).toBeLessThanOrEqual(1000);
    expect(room.paused).toBe(1);
    stall.release();
    await peer.until(({ packets }) => packets.length === 5000, "5000 acknowledgements");
    await expect.poll(() => room.platform.heard.length).toBe(10_000);
    expect(room.texts().slice(0, 3)).toEqual(['{"n":0}', '{"n":1}', '{"n":2}']);
  });

  it("MQTT-6: every PINGREQ in a flood is answered", async () => {
    await using room = await Room.open();
    room.platform.commit = groupCommit(5);
    const peer = await room.connected(level);
    const flood = many(7000).flatMap((packet, i) => (i % 7 === 6 ? [packet, { cmd: "pingreq" }] : [packet]));
    peer.send(...flood);
    await peer.until(({ packets }) => packets.length === 8000, "8000 answers");
    expect(peer.packets.filter(({ cmd }) => cmd === "pingresp").length).toBe(1000);
  });

  it("MQTT-7, MQTT-CON-06: a QoS 2 repetition is handled once, and after PUBREL the id is free", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    const packet = (n: number, dup: boolean) => publishPacket(telemetry, `{"n":${n}}`, { qos: 2, messageId: 9, dup });
    peer.send(packet(1, false), packet(1, true));
    await peer.next("pubrec");
    await peer.next("pubrec");
    peer.send({ cmd: "pubrel", messageId: 9 }, packet(2, false));
    expect((await peer.next("pubcomp")).messageId).toBe(9);
    await peer.next("pubrec");
    expect(room.texts()).toEqual(['{"n":1}', '{"n":2}']);
  });

  it("MQTT-CON-17: a QoS 1 repetition is processed again", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    peer.send(publishPacket(telemetry, "{}", { dup: true }), publishPacket(telemetry, "{}", { dup: true }));
    await peer.next("puback");
    await peer.next("puback");
    expect(room.platform.heard.length).toBe(2);
  });

  it.each(["", "not json", "5", '{"a":'])(
    "MQTT-TEL-09 to TEL-14, MQTT-8: the malformed payload %j",
    async (payload) => {
      await using room = await Room.open();
      const peer = await room.connected(level);
      peer.send(publishPacket(telemetry, '{"good":1}'), publishPacket(telemetry, payload, { messageId: 2 }));
      expect((await peer.next("puback")).messageId).toBe(1);
      if (level < 5) {
        await peer.closed();
        expect(peer.packets).toEqual([]);
        return;
      }
      expect(await peer.next("puback")).toMatchObject({ messageId: 2, reasonCode: 0x99 });
      peer.publish(telemetry, payload, { qos: 2, messageId: 3 });
      expect(await peer.next("pubrec")).toMatchObject({ messageId: 3, reasonCode: 0x99 });
      expect(await peer.stays()).toBe(true);
      peer.publish(telemetry, payload, { qos: 0, messageId: undefined });
      expect((await peer.next("disconnect")).reasonCode).toBe(0x99);
      await peer.closed();
    },
  );

  it("MQTT-TEL-16: `sendAckOnValidationException` acknowledges what cannot be read", async () => {
    await using room = await Room.open();
    room.device("M", mqttProfile({ sendAckOnValidationException: true }));
    const peer = await room.connected(level, "M");
    peer.publish(telemetry, "broken");
    await peer.next("puback");
    expect(await peer.stays()).toBe(true);
    peer.publish(telemetry, "broken", { qos: 0, messageId: undefined });
    await peer.closed();
  });

  it.each(["sync", "async"])(
    "LIM-01, 2.4.4: five are acknowledged, the sixth ends the connection (%s)",
    async (how) => {
      await using room = await Room.open();
      const limit = new Fault("exhausted", "device.rate-limit", "5 in 60 s");
      room.platform.commit = groupCommit(20);
      if (how === "sync") room.platform.refuse = (text) => (text === '{"n":5}' ? limit : undefined);
      else {
        const commit = room.platform.commit;
        room.platform.commit = () => (room.texts().at(-1) === '{"n":5}' ? Promise.reject(limit) : commit());
      }
      const peer = await room.connected(level);
      peer.send(...many(8));
      await peer.closed();
      expect(peer.packets.filter(({ cmd }) => cmd === "puback").map(({ messageId }) => messageId)).toEqual([
        1, 2, 3, 4, 5,
      ]);
      if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x83);
    },
  );

  it("MQTT-8: what a device may not do gets 0x87 and it stays; earlier versions are closed", async () => {
    await using room = await Room.open();
    room.platform.refuse = () => new Fault("denied", "device.denied", "no");
    const peer = await room.connected(level);
    peer.publish(telemetry, "{}");
    if (level < 5) return void (await peer.closed());
    expect((await peer.next("puback")).reasonCode).toBe(0x87);
    expect(await peer.stays()).toBe(true);
  });

  it.each([
    "foo/bar",
    "v1/devices/me/claims",
    "v2/t/x",
    "v2/fw/request/1/chunk/abc",
    "v2/fw/request/abc/chunk/0",
    "v1/devices/me/telemetry/",
    "constructor",
  ])("MQTT-TEL-17: the unknown topic %s is acknowledged and the device stays", async (topic) => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    peer.publish(topic, '{"a":1}');
    const { reasonCode } = await peer.next("puback");
    if (level === 5) expect(reasonCode).toBe(0x90);
    expect(await peer.stays()).toBe(true);
    expect(room.platform.heard).toEqual([]);
    expect(room.platform.session("T").touched).toBe(2);
  });

  it("GW-20, GW-21: the gateway API is ignored of a device, unknown of a gateway", async () => {
    await using room = await Room.open();
    room.device("G", { token: "G", identity: { gateway: true } });
    const device = await room.connected(level);
    device.publish("v1/gateway/telemetry", "{}");
    expect(await device.stays()).toBe(true);
    expect(device.packets).toEqual([]);
    const gateway = await room.connected(level, "G");
    gateway.publish("v1/gateway/foo", "{}");
    expect((await gateway.next("puback")).messageId).toBe(1);
  });

  it("MQTT-CON-05: a wildcard in a topic ends the connection (0x81)", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    const packet = peer.encode(publishPacket("v1/devices/x/telemetry", "{}"));
    packet[packet.indexOf("x")] = 0x2b;
    peer.socket.write(packet);
    await peer.closed();
    if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x81);
  });

  it("MQTT-TEL-19 to TEL-22, TEL-24: the profile's topic filters, also when they change", async () => {
    await using room = await Room.open();
    room.device("M", mqttProfile({ deviceTelemetryTopic: "plant/+/data", deviceAttributesTopic: "plant/#" }));
    const peer = await room.connected(level, "M");
    const topics = ["plant/1/data", telemetry, "v2/t", "plant", "plant/a/b", "plant2"];
    peer.send(...topics.map((topic, i) => publishPacket(topic, `{"n":${i}}`, { messageId: i + 1 })));
    await peer.until(({ packets }) => packets.length === topics.length, "answers");
    const session = room.platform.session("M");
    session.device = { ...session.device, transport: { deviceTelemetryTopic: "plant2" } };
    peer.publish("plant2", '{"n":6}');
    await peer.until(({ packets }) => packets.length === topics.length + 1, "answer");
    expect(room.platform.heard.map(({ kind, text, meta }) => [kind, text, meta])).toEqual([
      ["attributes", '{"n":0}', { mqttTopic: "plant/1/data" }],
      ["telemetry", '{"n":2}', { mqttTopic: "v2/t" }],
      ["attributes", '{"n":3}', { mqttTopic: "plant" }],
      ["attributes", '{"n":4}', { mqttTopic: "plant/a/b" }],
      ["telemetry", '{"n":6}', { mqttTopic: "plant2" }],
    ]);
  });
});

it("MQTT-15: topic aliases and user properties", async () => {
  await using room = await Room.open();
  const peer = await room.connected(5);
  const alias = (topicAlias: number) => ({
    properties: { topicAlias, userProperties: { site: "a", deviceName: "fake" } },
  });
  peer.send(publishPacket(telemetry, '{"n":1}', alias(10)), publishPacket("", '{"n":2}', alias(10)));
  await peer.next("puback");
  await peer.next("puback");
  const meta = { mqtt_site: "a", mqtt_deviceName: "fake" };
  expect(room.platform.heard.map((heard) => [heard.text, heard.meta])).toEqual([
    ['{"n":1}', meta],
    ['{"n":2}', meta],
  ]);
  for (const bad of [0, 11]) {
    const other = await room.connected(5, "U");
    const frame = other.encode(publishPacket(telemetry, "{}", alias(10)));
    frame[frame.indexOf(Buffer.from([0x23, 0x00, 0x0a])) + 2] = bad;
    other.socket.write(frame);
    expect((await other.next("disconnect")).reasonCode).toBe(0x94);
    await other.closed();
  }
});

it("what needs no commit but waits behind one counts too", async () => {
  await using room = await Room.open();
  const stall = stalledCommit();
  room.platform.commit = stall.commit;
  const peer = await room.connected(4);
  peer.send(
    publishPacket(telemetry, "{}"),
    ...Array.from({ length: 3000 }, (_, i) => publishPacket("foo", "{}", { messageId: i + 2 })),
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(room.platform.session("T").touched).toBeLessThanOrEqual(100);
  stall.release();
  await peer.until(({ packets }) => packets.length === 3001, "3001 acknowledgements");
});

it("2.11: an attribute request above the rate limit ends the connection", async () => {
  await using room = await Room.open();
  const peer = await room.connected(5);
  room.platform.session("T").readAttributes = async () => {
    throw new Fault("exhausted", "device.rate-limit", "x");
  };
  peer.publish("v2/a/req/1", "{}");
  expect((await peer.next("disconnect")).reasonCode).toBe(0x83);
});

it("the budget of all connections: those that find it full are woken, and nothing is lost", async () => {
  await using room = await Room.open({ totalInFlight: 150 });
  const stall = stalledCommit();
  room.platform.commit = stall.commit;
  const tokens = Array.from({ length: 20 }, (_, i) => `D${i}`);
  for (const token of tokens) room.device(token, { token });
  const peers = await Promise.all(tokens.map((token) => room.connected(4, token)));
  for (const peer of peers) peer.send(...many(300));
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(room.platform.heard.length).toBe(150);
  const random = seededRandom(1);
  room.platform.commit = () => new Promise((resolve) => setTimeout(resolve, random() * 5));
  stall.release();
  for (const peer of peers) peer.send(...Array.from({ length: 200 }, () => ({ cmd: "pingreq" })));
  for (const peer of peers) await peer.until(({ packets }) => packets.length === 500, "500 answers");
  expect(room.platform.heard.length).toBe(6000);
});
