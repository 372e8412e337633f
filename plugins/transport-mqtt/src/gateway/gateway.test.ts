import { Fault } from "@heddle/plugin-sdk";
import { fakeIdentity } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { levels, type Peer } from "../../testing/peer.ts";
import { Room } from "../../testing/room.ts";

describe.each(levels)("a gateway, level %i", (level) => {
  async function setUp(limits: object = {}) {
    const room = await Room.open(limits);
    room.device("G", { token: "G", identity: { gateway: true } });
    return { room, peer: await room.connected(level, "G"), [Symbol.asyncDispose]: () => room[Symbol.asyncDispose]() };
  }
  const say = async (peer: Peer, what: string, document: unknown) => {
    peer.publish(`v1/gateway/${what}`, typeof document === "string" ? document : JSON.stringify(document));
    return (await peer.next("puback")).reasonCode ?? 0;
  };
  const hear = async (peer: Peer) => {
    const { topic, payload, messageId, qos } = await peer.next("publish");
    if (qos > 0) peer.send({ cmd: "puback", messageId, reasonCode: 0 });
    return [topic, JSON.parse(String(payload))];
  };
  const code = (v5: number) => (level === 5 ? v5 : 0);

  it("GW-01, GW-03, GW-04, GW-05: devices connect by name, and by what is said of them", async () => {
    await using at = await setUp();
    expect(await say(at.peer, "connect", { device: "A", type: "meter" })).toBe(0);
    expect(await say(at.peer, "telemetry", { A: [{ ts: 1, values: { a: 1 } }], B: [{ b: 2 }] })).toBe(0);
    expect(await say(at.peer, "attributes", { A: { k: 1 } })).toBe(0);
    expect(at.room.onboarding.adopted).toEqual([{ name: "A", type: "meter" }, { name: "B" }]);
    expect(at.room.platform.heard.map(({ device, kind, text }) => [device, kind, text])).toEqual([
      ["A", "telemetry", '[{"ts":1,"values":{"a":1}}]'],
      ["B", "telemetry", '[{"b":2}]'],
      ["A", "attributes", '{"k":1}'],
    ]);
    expect([...at.room.platform.session("A").subscribed].sort()).toEqual(["attributes", "rpc"]);
  });

  it("GW-15 many first messages for one name open one session, and keep their order", async () => {
    await using at = await setUp();
    for (let n = 0; n < 20; n++) {
      at.peer.publish("v1/gateway/telemetry", JSON.stringify({ A: [{ n }] }), { messageId: n + 1 });
    }
    for (let n = 0; n < 20; n++) expect((await at.peer.next("puback")).messageId).toBe(n + 1);
    expect(at.room.onboarding.adopted).toEqual([{ name: "A" }]);
    expect(at.room.texts()).toEqual(Array.from({ length: 20 }, (_, n) => `[{"n":${n}}]`));
  });

  it("GW-06, GW-08: attributes are asked for in two scopes", async () => {
    await using at = await setUp();
    at.room.platform.attributes = { shared: '{"interval":30}' };
    const ask = (more: object) => say(at.peer, "attributes/request", { id: 3, device: "A", ...more });
    expect(await ask({ client: false, key: "interval" })).toBe(0);
    expect(await hear(at.peer)).toEqual(["v1/gateway/attributes/response", { id: 3, device: "A", value: 30 }]);
    at.room.platform.attributes = {};
    await ask({ client: true, key: "x" });
    expect(await hear(at.peer)).toEqual(["v1/gateway/attributes/response", { id: 3, device: "A" }]);
    await ask({ client: false, keys: [] });
    await hear(at.peer);
    expect(at.room.platform.session("A").wanted).toEqual([
      { client: "none", shared: ["interval"] },
      { client: ["x"], shared: "none" },
      { client: "all", shared: "all" },
    ]);
  });

  it("GW-09, GW-10, GW-11: updates and calls go down, answers come up", async () => {
    await using at = await setUp();
    await say(at.peer, "connect", { device: "A" });
    const { down, call } = at.room.platform.session("A");
    await down.deliverAttributes('{"interval":60}', call);
    expect(await hear(at.peer)).toEqual(["v1/gateway/attributes", { device: "A", data: { interval: 60 } }]);
    const delivered = down.deliverRpc({ requestId: 5, method: "reset", params: "{}", oneway: false }, call);
    expect(await hear(at.peer)).toEqual([
      "v1/gateway/rpc",
      { device: "A", data: { id: 5, method: "reset", params: {} } },
    ]);
    await delivered;
    expect(await say(at.peer, "rpc", { device: "A", id: 5, data: { ok: true } })).toBe(0);
    expect(at.room.platform.heard.at(-1)).toMatchObject({
      device: "A",
      kind: "rpcReply",
      text: '{"ok":true}',
      requestId: 5,
    });
  });

  it("GW-12, GW-13, GW-26: disconnect, also of who is unknown, and claims", async () => {
    await using at = await setUp();
    await say(at.peer, "connect", { device: "A" });
    const session = at.room.platform.session("A");
    expect(await say(at.peer, "disconnect", { device: "A" })).toBe(0);
    expect(session.disposed).toBe(true);
    expect(await say(at.peer, "disconnect", { device: "nobody" })).toBe(0);
    expect(await say(at.peer, "claim", { A: { secretKey: "k" } })).toBe(0);
    expect(at.room.onboarding.claims).toEqual([{ device: "A", text: '{"secretKey":"k"}' }]);
  });

  it("GW-16 a child whose session ended is connected anew by the next message", async () => {
    await using at = await setUp();
    await say(at.peer, "telemetry", { A: [{ a: 1 }] });
    at.room.platform.session("A").finish("replaced");
    expect(await say(at.peer, "telemetry", { A: [{ a: 2 }] })).toBe(0);
    expect(at.room.onboarding.adopted).toHaveLength(2);
    expect(await at.peer.stays()).toBe(true);
  });

  it("GW-17 what cannot be read is a payload error; GW-21 an unknown topic is acknowledged as one", async () => {
    await using at = await setUp();
    expect(await say(at.peer, "foo", "{}")).toBe(code(0x90));
    at.peer.publish("v1/gateway/telemetry", "{A");
    if (level === 5) expect((await at.peer.next("puback")).reasonCode).toBe(0x99);
    else await at.peer.closed();
  });

  it("GW-19 an empty document is taken, a wrong shape acknowledged and ends the connection", async () => {
    await using at = await setUp();
    expect(await say(at.peer, "telemetry", "{}")).toBe(0);
    expect(await say(at.peer, "connect", '{"device":""}')).toBe(code(0x83));
    await at.peer.closed();
    if (level === 5) expect((await at.peer.next("disconnect")).reasonCode).toBe(0x83);
  });

  it("GW-18, GW-23: of a message with one bad part the others are taken", async () => {
    await using at = await setUp();
    expect(await say(at.peer, "telemetry", { A: 5, B: [{ b: 1 }] })).toBe(0);
    at.peer.publish("v1/gateway/telemetry", '{"A":[5],"B":[{"b":2}]}');
    if (level === 5) {
      expect((await at.peer.next("puback")).reasonCode).toBe(0x99);
      expect(await at.peer.stays()).toBe(true);
    } else await at.peer.closed();
    expect(at.room.texts()).toEqual(['[{"b":1}]', '[{"b":2}]']);
  });

  it("GW-24 above a limit a QoS 1 message is refused and ends the connection, without a DISCONNECT", async () => {
    await using at = await setUp();
    await say(at.peer, "connect", { device: "A" });
    at.room.platform.refuse = () => new Fault("exhausted", "device.rate-limit", "too many");
    expect(await say(at.peer, "telemetry", { A: [{ a: 1 }] })).toBe(code(0x97));
    await at.peer.closed();
    expect(at.peer.packets.some(({ cmd }) => cmd === "disconnect")).toBe(false);
  });

  it("GW-24 at QoS 0 it is dropped, and of several devices the refused ones are named", async () => {
    await using at = await setUp();
    await say(at.peer, "telemetry", { A: [{ a: 1 }], B: [{ b: 1 }] });
    at.room.platform.refuse = (text) =>
      text.includes("b") ? new Fault("exhausted", "device.rate-limit", "x") : undefined;
    at.peer.publish("v1/gateway/telemetry", '{"B":[{"b":2}]}', { qos: 0 });
    at.peer.publish("v1/gateway/telemetry", '{"A":[{"a":2}],"B":[{"b":2}]}', { qos: 0 });
    if (level === 5) expect(await hear(at.peer)).toEqual(["v1/gateway/disconnect", { device: "B", reason: 150 }]);
    expect(await at.peer.stays()).toBe(true);
    expect(at.room.texts()).toEqual(['[{"a":1}]', '[{"b":1}]', '[{"a":2}]']);
  });

  it("GW-25 a device that cannot be made is told by the acknowledgement, and the connection stays", async () => {
    await using at = await setUp();
    at.room.onboarding.child = async () => {
      throw new Fault("denied", "registry.limit", "Devices limit reached");
    };
    expect(await say(at.peer, "connect", { device: "A" })).toBe(code(0x97));
    at.room.onboarding.child = async () => {
      throw new Fault("internal", "x", "trouble");
    };
    expect(await say(at.peer, "connect", { device: "A" })).toBe(code(0x80));
    expect(await say(at.peer, "attributes/request", { id: 1, device: "A", client: true, key: "a" })).toBe(code(0x83));
    at.room.onboarding.child = async ({ name }) => fakeIdentity(name, { deviceId: name });
    expect(await say(at.peer, "connect", { device: "A" })).toBe(0);
  });

  it("what passes by itself is not acknowledged: the gateway sends it again", async () => {
    await using at = await setUp();
    await say(at.peer, "connect", { device: "A" });
    at.room.platform.refuse = () => new Fault("unavailable", "lane.unavailable", "the queue is away");
    at.peer.publish("v1/gateway/telemetry", '{"A":[{"a":1}]}');
    await at.peer.closed();
    expect(at.peer.packets.some(({ cmd }) => cmd === "puback")).toBe(false);
  });

  it("has so many children and no more; they end with it", async () => {
    await using at = await setUp({ children: 2 });
    await say(at.peer, "connect", { device: "A" });
    await say(at.peer, "connect", { device: "B" });
    expect(await say(at.peer, "connect", { device: "C" })).toBe(code(0x97));
    const gateway = at.room.platform.session("G");
    at.peer.destroy();
    await expect.poll(() => gateway.disposed).toBe(true);
  });
});

it("GW-22 latencies of connectors become telemetry of the gateway, once a minute", async () => {
  const { Latencies } = await import("./latencies.ts");
  const latencies = new Latencies(60_000);
  const at = { now: 1_020, elapsed: 0 };
  latencies.add({ connector: "Modbus", receivedTs: 1_000, publishedTs: 1_001 }, at);
  latencies.add({ connector: "Modbus", receivedTs: 1_000, publishedTs: 1_009 }, at);
  expect(latencies.take(59_000)).toBeUndefined();
  expect(JSON.parse(latencies.take(60_000) ?? "")).toEqual({
    gatewayMetrics: {
      Modbus: {
        ...{ avgGwLatency: 5, minGwLatency: 1, maxGwLatency: 9 },
        ...{ avgTransportLatency: 15, minTransportLatency: 11, maxTransportLatency: 19 },
      },
    },
  });
  expect(latencies.take(200_000)).toBeUndefined();
});
