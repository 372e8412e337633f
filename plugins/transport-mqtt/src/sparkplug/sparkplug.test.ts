import { readSparkplug, writeSparkplug } from "@heddle/payload-codec";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import type { Peer } from "../../testing/peer.ts";
import { Room } from "../../testing/room.ts";

/** What a client of the specification would write: written by hand, not by the code under test. */
const { root } = protobuf.parse(
  `syntax = "proto2"; message Metric { optional string name = 1; optional uint64 alias = 2; optional uint64 timestamp = 3;
   optional uint32 datatype = 4; optional bool is_null = 7; optional uint32 int_value = 10; optional uint64 long_value = 11;
   optional float float_value = 12; optional double double_value = 13; optional bool boolean_value = 14; optional string string_value = 15; }
   message Payload { optional uint64 timestamp = 1; repeated Metric metrics = 2; optional uint64 seq = 3; }`,
  { keepCase: true },
);
const type = root.lookupType("Payload");
const payload = (metrics: object[], more: object = {}) =>
  Buffer.from(type.encode(type.fromObject({ timestamp: 1_000, metrics, ...more })).finish());
const bdSeq = (value: number) => ({ name: "bdSeq", datatype: 8, long_value: value });
const ts = 1_000;

describe.each([4, 5] as const)("Sparkplug B, level %i", (level) => {
  async function setUp() {
    const room = await Room.open();
    const transport = { type: "MQTT", sparkplug: true, sparkplugAttributesMetricNames: ["Properties/*", "model"] };
    room.device("N", { token: "N", identity: { transportType: "MQTT", transport, deviceType: "edge" } });
    const will = { topic: "spBv1.0/G/NDEATH/E", payload: payload([bdSeq(3)]), qos: 1 as const, retain: false };
    const connect = (more: object = {}) => {
      const peer = room.peer(level);
      peer.connect({
        ...{ username: "N", clientId: "c", clean: true, will },
        ...(level === 5 ? { properties: { sessionExpiryInterval: 0 } } : {}),
        ...more,
      });
      return peer;
    };
    const node = connect();
    expect((await node.next("connack")) as object).toMatchObject(level === 5 ? { reasonCode: 0 } : { returnCode: 0 });
    return { room, node, connect, will, [Symbol.asyncDispose]: () => room[Symbol.asyncDispose]() };
  }
  const say = async (peer: Peer, topic: string, bytes: Buffer) => {
    peer.publish(`spBv1.0/G/${topic}`, bytes);
    return (await peer.next("puback")).reasonCode ?? 0;
  };

  it("SPB-01 without a proper death in its will a node is refused", async () => {
    await using at = await setUp();
    const refused = [
      { will: undefined },
      { will: { ...at.will, qos: 0 } },
      { will: { ...at.will, topic: "x" } },
      { clean: false },
    ];
    for (const more of [...refused, ...(level === 5 ? [{ properties: {} }] : [])]) {
      const peer = at.connect(more);
      const { returnCode, reasonCode } = (await peer.next("connack")) as { returnCode?: number; reasonCode?: number };
      expect(returnCode ?? reasonCode).toBe(level === 5 ? 0x88 : 3);
      await peer.closed();
    }
  });

  it("SPB-02 a birth stores its metrics with their types, and that the node is online", async () => {
    await using at = await setUp();
    const metrics = [
      bdSeq(3),
      { name: "int8", datatype: 1, int_value: 0xfffffffd },
      { name: "int64", datatype: 4, long_value: "18446744073709551615" },
      { name: "float", datatype: 9, float_value: 3.25 },
      { name: "double", datatype: 10, double_value: 21 },
      { name: "on", datatype: 11, boolean_value: true },
      { name: "text", datatype: 12, string_value: "x" },
      { name: "late", datatype: 12, timestamp: 2_000, string_value: "y" },
      { name: "none", datatype: 12, is_null: true },
      { name: "Properties/hw", datatype: 12, string_value: "rpi" },
    ];
    expect(await say(at.node, "NBIRTH/E", payload(metrics))).toBe(0);
    const values = '"int8":-3,"int64":-1,"float":3.25,"double":21.0,"on":true,"text":"x"';
    expect(at.room.texts()).toEqual([
      `[{"ts":${ts},"values":{"NDEATH bdSeq":3}}]`,
      `[{"ts":${ts},"values":{"NBIRTH bdSeq":3,${values},"sparkplugConnectionState":"ONLINE"}},{"ts":2000,"values":{"late":"y"}}]`,
    ]);
    expect(at.room.shared).toEqual([{ "Properties/hw": "rpi" }]);
  });

  it("SPB-03 devices are children named by their own id; aliases and types come from the birth", async () => {
    await using at = await setUp();
    await say(at.node, "NBIRTH/E", payload([bdSeq(3)]));
    await say(at.node, "DBIRTH/E/dev", payload([{ name: "t", alias: 7, datatype: 1, int_value: 5 }], { seq: 1 }));
    await say(at.node, "DDATA/E/dev", payload([{ alias: 7, int_value: 0xffffffff }]));
    expect(at.room.onboarding.adopted).toEqual([{ name: "dev", type: "edge device" }]);
    expect(at.room.platform.heard.filter(({ device }) => device === "dev").map(({ text }) => text)).toEqual([
      `[{"ts":${ts},"values":{"t":5,"sparkplugConnectionState":"ONLINE","DBIRTH seq":1}}]`,
      `[{"ts":${ts},"values":{"t":-1}}]`,
    ]);
    await say(at.node, "DDEATH/E/dev", payload([]));
    expect(at.room.platform.heard.at(-1)).toMatchObject({
      device: "dev",
      text: '{"sparkplugConnectionState":"OFFLINE"}',
    });
  });

  it("SPB-04 when the connection drops, the node and its devices are offline; a death of another birth is nothing", async () => {
    await using at = await setUp();
    await say(at.node, "NBIRTH/E", payload([bdSeq(3)]));
    await say(at.node, "DBIRTH/E/dev", payload([{ name: "t", datatype: 1, int_value: 5 }]));
    const offline = () =>
      at.room.platform.heard.filter(({ text }) => text.includes("OFFLINE")).map(({ device }) => device);
    await say(at.node, "NDEATH/E", payload([bdSeq(2)]));
    expect(offline()).toEqual([]);
    at.node.destroy();
    await expect.poll(() => offline().sort()).toEqual(["N", "dev"]);
  });

  it("SPB-05 shared attributes of announced metrics go down as commands, typed as in the birth", async () => {
    await using at = await setUp();
    at.node.send({
      cmd: "subscribe",
      messageId: 1,
      subscriptions: ["spBv1.0/G/NCMD/E", "spBv1.0/G/DCMD/E/+", "#"].map((topic) => ({ topic, qos: 1 })),
    });
    expect((await at.node.next("suback")).granted).toEqual([1, 1, level === 5 ? 0x8f : 0x80]);
    await say(at.node, "NBIRTH/E", payload([bdSeq(3), { name: "rate", datatype: 3, int_value: 1 }]));
    const { down, call, subscribed } = at.room.platform.session("N");
    expect([...subscribed].sort()).toEqual(["attributes", "rpc"]);
    await down.deliverAttributes('{"rate":-5,"unknown":1}', call);
    const { topic, payload: bytes } = await at.node.next("publish");
    expect(topic).toBe("spBv1.0/G/NCMD/E");
    expect(readSparkplug(bytes as Buffer, () => undefined).metrics).toMatchObject([
      { name: "rate", datatype: 3, json: "-5" },
    ]);
  });

  it("SPB-06 a call writes a metric and says how it went", async () => {
    await using at = await setUp();
    await say(
      at.node,
      "NBIRTH/E",
      payload([bdSeq(3), { name: "Node Control/Rebirth", datatype: 11, boolean_value: false }]),
    );
    const { down, call } = at.room.platform.session("N");
    const rpc = (method: string, params: object) =>
      down.deliverRpc({ requestId: 5, method, params: JSON.stringify(params), oneway: false }, call);
    const answer = () => JSON.parse(at.room.platform.heard.at(-1)?.text ?? "");
    const done = rpc("NCMD", { metricName: "Node Control/Rebirth", value: true });
    const { topic, messageId } = await at.node.next("publish");
    at.node.send({ cmd: "puback", messageId, reasonCode: 0 });
    await done;
    expect([topic, answer()]).toEqual(["spBv1.0/G/NCMD/E", { result: "Success: NCMD" }]);
    await rpc("NCMD", { metricName: "nobody", value: 1 });
    expect(answer()).toMatchObject({ result: "BAD_REQUEST", error: expect.stringContaining("nobody") });
    await rpc("NCMD", { metricName: "Node Control/Rebirth", value: "x" });
    expect(answer()).toMatchObject({ result: "BAD_REQUEST" });
    await rpc("foo", {});
    expect(answer()).toMatchObject({ result: "METHOD_NOT_ALLOWED" });
  });

  it("topics of others are unknown, and what is no payload is a payload error", async () => {
    await using at = await setUp();
    expect(await say(at.node, "NDATA/other", payload([]))).toBe(level === 5 ? 0x90 : 0);
    at.node.publish("spBv1.0/G/NDATA/E", Buffer.from("ff", "hex"));
    if (level === 5) expect((await at.node.next("puback")).reasonCode).toBe(0x99);
    else await at.node.closed();
  });
});

it("commands that do not fit their datatype are refused before they are written", () => {
  expect(() => writeSparkplug({ name: "n", datatype: 3, value: 1.5 }, 0)).toThrowError(
    expect.objectContaining({ code: "input.invalid" }),
  );
  expect(() => writeSparkplug({ name: "n", datatype: 11, value: 1 }, 0)).toThrowError(
    expect.objectContaining({ code: "input.invalid" }),
  );
});
