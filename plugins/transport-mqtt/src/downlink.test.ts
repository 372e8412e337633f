import { describe, expect, it } from "vitest";
import { levels, type Peer } from "../testing/peer.ts";
import { Room } from "../testing/room.ts";

const rpc = { requestId: 0, method: "setRelay", params: '{"on":true}', oneway: false };

async function subscribed(peer: Peer, ...filters: [string, 0 | 1 | 2][]): Promise<readonly unknown[]> {
  peer.send({ cmd: "subscribe", messageId: 1, subscriptions: filters.map(([topic, qos]) => ({ topic, qos })) });
  return (await peer.next("suback")).granted;
}

const published = async (peer: Peer) => {
  const { topic, payload, qos, messageId } = await peer.next("publish");
  return { topic, payload: payload.toString(), qos, messageId };
};

describe.each(levels)("downlinks, level %i", (level) => {
  const refused = level === 5 ? 0x8f : 0x80;

  it("MQTT-12, MQTT-SUB-01 to SUB-10: exact filters, granted at most QoS 1, the others of a packet are honoured", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    expect(
      await subscribed(
        peer,
        ["v1/devices/me/attributes", 2],
        ["#", 1],
        ["v1/devices/me/+", 1],
        ["v1/devices/me/rpc/request/+", 0],
        ["v1/devices/me/rpc/request/5", 1],
        ["v2/fw/response/+", 1],
        ["constructor", 1],
        ["__proto__", 1],
        ["v1/gateway/rpc", 1],
        ["v2/fw/response/+/chunk/+", 1],
        ["v2/a/p", 0],
      ),
    ).toEqual([1, refused, refused, 0, refused, refused, refused, refused, 1, 1, 0]);
    expect(
      await subscribed(peer, ["v2/a", 1], ["v2/a/j", 1], ["v2/r/req/j/+", 1], ["v2/r/res/+", 1], ["v2/a/res/j/+", 0]),
    ).toEqual([1, 1, 1, 1, 0]);
    expect(
      await subscribed(peer, ["v1/devices/me/attributes/response/+", 1], ["v1/devices/me/rpc/response/+", 1]),
    ).toEqual([1, 1]);
    expect([...room.platform.session("T").subscribed].sort()).toEqual(["attributes", "rpc"]);
    expect(await peer.stays()).toBe(true);
  });

  it("MQTT-SUB-11, SUB-12: UNSUBSCRIBE of any form ends the registration", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    await subscribed(peer, ["v1/devices/me/attributes", 1], ["v2/r/req/+", 1]);
    peer.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["v1/devices/me/attributes", "v2/a", "foo"] });
    const { granted } = await peer.next("unsuback");
    if (level === 5) expect(granted).toEqual([0, 0x11, 0x11]);
    expect([...room.platform.session("T").subscribed]).toEqual(["rpc"]);
  });

  it.each([
    ["v1/devices/me/attributes", "v1/devices/me/attributes"],
    ["v2/a", "v2/a"],
    ["v2/a/j", "v2/a/j"],
  ])("MQTT-ATT-12, ATT-13, ATT-15: pushes to a subscriber of %s", async (filter, topic) => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    await subscribed(peer, [filter, 0]);
    const { down, call } = room.platform.session("T");
    await down.deliverAttributes('{"k":1}', call);
    expect(await published(peer)).toMatchObject({ topic, payload: '{"k":1}', qos: 0 });
    await subscribed(peer, [filter, 1]);
    await down.deliverAttributes('{"deleted":["k"]}', call);
    expect(await published(peer)).toMatchObject({ topic, payload: '{"deleted":["k"]}', qos: 1, messageId: 1 });
  });

  it("MQTT-ATT-17: a custom attributes filter is granted, its pushes come on the v1 topic", async () => {
    await using room = await Room.open();
    const transport = { deviceAttributesSubscribeTopic: "plant/+/cfg" };
    room.device("M", { token: "M", identity: { transportType: "MQTT", transport } });
    const peer = await room.connected(level, "M");
    expect(await subscribed(peer, ["plant/7/cfg", 1], ["plant/7/other", 1])).toEqual([1, refused]);
    const session = room.platform.session("M");
    expect([...session.subscribed]).toEqual(["attributes"]);
    await session.down.deliverAttributes("{}", session.call);
    expect((await published(peer)).topic).toBe("v1/devices/me/attributes");
    peer.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["plant/7/cfg"] });
    await peer.next("unsuback");
    expect([...session.subscribed]).toEqual([]);
  });

  it("MQTT-ATT-03 to ATT-07, ATT-10, ATT-16: attribute requests, answered without a subscription, PUBACK first", async () => {
    await using room = await Room.open();
    room.platform.attributes = { client: '{"a":1.0}', shared: '{"c":{"x":[1]}}' };
    const peer = await room.connected(level);
    peer.publish("v1/devices/me/attributes/request/7", '{"clientKeys":"a,b ","sharedKeys":"c"}');
    await peer.until(({ packets }) => packets.length === 2, "answer");
    expect(peer.packets.map(({ cmd }) => cmd)).toEqual(["puback", "publish"]);
    expect(await published(peer)).toMatchObject({
      topic: "v1/devices/me/attributes/response/7",
      payload: '{"client":{"a":1.0},"shared":{"c":{"x":[1]}}}',
      qos: 1,
    });
    room.platform.attributes = {};
    peer.publish("v2/a/req/j/3", "{}");
    expect(await published(peer)).toMatchObject({ topic: "v2/a/res/j/3", payload: "{}" });
    peer.publish("v2/a/req/0", '{"sharedKeys":"x"}', { qos: 0, messageId: undefined });
    expect(await published(peer)).toMatchObject({ topic: "v2/a/res/0" });
    expect(room.platform.session("T").wanted).toEqual([
      { client: ["a", "b "], shared: ["c"] },
      { client: "all", shared: "all" },
      { client: "none", shared: ["x"] },
    ]);
  });

  it.each([
    "v1/devices/me/attributes/request/abc",
    "v1/devices/me/attributes/request/99999999999",
    "v1/devices/me/rpc/response/abc",
    "v2/r/req/x",
  ])("MQTT-ATT-08, RPC-21: %s has no id, a payload error", async (topic) => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    peer.publish(topic, '{"method":"m"}');
    if (level < 5) await peer.closed();
    else expect((await peer.next("puback")).reasonCode).toBe(0x99);
  });

  it("MQTT-ATT-09: an attribute request without a payload is a payload error", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    peer.publish("v1/devices/me/attributes/request/1", "");
    if (level < 5) await peer.closed();
    else expect((await peer.next("puback")).reasonCode).toBe(0x99);
  });

  it.each([
    ["v1/devices/me/rpc/request/+", "v1/devices/me/rpc/request/", "v1/devices/me/rpc/response/"],
    ["v2/r/req/+", "v2/r/req/", "v2/r/res/"],
    ["v2/r/req/j/+", "v2/r/req/j/", "v2/r/res/j/"],
  ])(
    "MQTT-17, MQTT-RPC-01, RPC-03, RPC-22: a call to a subscriber of %s is delivered with its PUBACK",
    async (filter, request, response) => {
      await using room = await Room.open();
      const peer = await room.connected(level);
      await subscribed(peer, [filter, 1]);
      const { down, call } = room.platform.session("T");
      let delivered = false;
      const delivering = down.deliverRpc(rpc, call).then(() => {
        delivered = true;
      });
      const { topic, payload, messageId } = await published(peer);
      expect([topic, payload]).toEqual([`${request}0`, '{"method":"setRelay","params":{"on":true}}']);
      expect(await peer.stays()).toBe(true);
      expect(delivered).toBe(false);
      peer.send({ cmd: "puback", messageId });
      await delivering;
      peer.publish(`${response}0`, "not json{");
      await peer.next("puback");
      expect(room.platform.heard).toMatchObject([{ kind: "rpcReply", requestId: 0, text: "not json{" }]);
    },
  );

  it("MQTT-SUB-03: with QoS 0 a call is delivered when written", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    await subscribed(peer, ["v1/devices/me/rpc/request/+", 0]);
    const { down, call } = room.platform.session("T");
    await down.deliverRpc({ ...rpc, requestId: 3 }, call);
    expect(await published(peer)).toMatchObject({ qos: 0, topic: "v1/devices/me/rpc/request/3" });
  });

  it("MQTT-17: a withheld PUBACK is a time-out, an ended connection a fault", async () => {
    await using room = await Room.open({ ackMs: 300 });
    const peer = await room.connected(level);
    const { down, call } = room.platform.session("T");
    const begun = performance.now();
    await expect(down.deliverRpc(rpc, call)).rejects.toMatchObject({ code: "mqtt.unconfirmed", kind: "unavailable" });
    expect(performance.now() - begun).toBeGreaterThan(290);
    const pending = down.deliverRpc(rpc, { signal: new AbortController().signal });
    peer.destroy();
    await expect(pending).rejects.toMatchObject({ code: "mqtt.closed" });
  });

  it("MQTT-RPC-16, RPC-17, RPC-20: a device's own call", async () => {
    await using room = await Room.open();
    const timeout = Object.assign(new Error("x"), {
      code: "rpc.timeout",
      kind: "unavailable",
      [Symbol.for("heddle.fault")]: true,
    });
    room.platform.reply = async (text) => {
      if (text.includes('"slow"')) throw timeout;
      return `verbatim ${text}`;
    };
    const peer = await room.connected(level);
    peer.publish("v1/devices/me/rpc/request/12", '{"method":"m"}');
    await peer.next("puback");
    expect(await published(peer)).toMatchObject({
      topic: "v1/devices/me/rpc/response/12",
      payload: 'verbatim {"method":"m"}',
    });
    peer.publish("v2/r/req/j/5", '{"method":"slow"}');
    expect(await published(peer)).toMatchObject({ topic: "v2/r/res/j/5", payload: '{"error":"timeout"}' });
    peer.publish("v1/devices/me/rpc/request/1", "{}", { messageId: 4 });
    if (level < 5) return void (await peer.closed());
    await peer.next("puback");
    expect(await peer.next("puback")).toMatchObject({ messageId: 4, reasonCode: 0x99 });
  });

  it("MQTT-RPC-18, RPC-19: getSessionLimits is answered by the transport, after the PUBACK, on the v1 topic only", async () => {
    await using room = await Room.open();
    room.device("G", { token: "G", identity: { gateway: true } });
    const unlimited = { messages: null, telemetryMessages: null, telemetryDataPoints: null };
    const limits = { maxPayloadSize: 65_536, maxInflightMessages: 100, rateLimits: unlimited };
    for (const token of ["T", "G"]) {
      const peer = await room.connected(level, token);
      peer.publish("v1/devices/me/rpc/request/1", '{"method":"getSessionLimits","params":{"timeout":5000}}');
      await peer.until(({ packets }) => packets.length === 2, "answer");
      expect(peer.packets[0]!.cmd).toBe("puback");
      expect(JSON.parse((await published(peer)).payload)).toEqual(
        token === "G" ? { ...limits, gatewayRateLimits: unlimited } : limits,
      );
      expect(room.platform.heard).toEqual([]);
    }
    const peer = await room.connected(level);
    peer.publish("v2/r/req/1", '{"method":"getSessionLimits"}');
    await peer.next("puback");
    expect(room.platform.heard).toMatchObject([{ kind: "rpc" }]);
  });

  it("2.2, the family memory: answers go out in the family of the later request", async () => {
    await using room = await Room.open();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const peer = await room.connected(level);
    const session = room.platform.session("T");
    session.readAttributes = async () => {
      await gate;
      return {};
    };
    peer.publish("v1/devices/me/attributes/request/1", "{}");
    peer.publish("v2/a/req/j/2", "{}", { messageId: 2 });
    await peer.next("puback");
    await peer.next("puback");
    release();
    expect([(await published(peer)).topic, (await published(peer)).topic]).toEqual(["v2/a/res/j/1", "v2/a/res/j/2"]);
  });

  it("packet ids count from 1 and skip those in flight", async () => {
    await using room = await Room.open();
    const peer = await room.connected(level);
    const { down, call } = room.platform.session("T");
    for (let i = 0; i < 3; i++) await down.deliverAttributes("{}", call);
    expect([
      (await published(peer)).messageId,
      (await published(peer)).messageId,
      (await published(peer)).messageId,
    ]).toEqual([1, 2, 3]);
  });
});

it("MQTT-14: the client's Receive Maximum and Maximum Packet Size are kept", async () => {
  await using room = await Room.open();
  const peer = await room.connected(5, "T", { properties: { receiveMaximum: 2, maximumPacketSize: 100 } });
  const { down, call } = room.platform.session("T");
  const sent = Array.from({ length: 5 }, (_, requestId) => down.deliverRpc({ ...rpc, requestId }, call));
  const got: number[] = [];
  for (let i = 0; i < 5; i++) {
    got.push((await published(peer)).messageId!);
    if (i % 2 === 1 || i === 4) {
      expect(await peer.stays()).toBe(true);
      expect(peer.packets.filter(({ cmd }) => cmd === "publish").length).toBe(0);
      for (const messageId of got.splice(0)) peer.send({ cmd: "puback", messageId });
    }
  }
  await Promise.all(sent);
  await expect(down.deliverAttributes(JSON.stringify({ k: "x".repeat(100) }), call)).rejects.toMatchObject({
    code: "mqtt.too-large",
  });
  expect(await peer.stays()).toBe(true);
  const held = Array.from({ length: 103 }, () =>
    down.deliverAttributes("{}", call).then(
      () => "sent",
      ({ code }) => code,
    ),
  );
  expect(await held[102]).toBe("mqtt.window-full");
});
