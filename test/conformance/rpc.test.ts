import { afterAll, beforeAll, describe, expect } from "vitest";
import { MqttDevice } from "./mqtt.ts";
import { type Level, row, rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, pause, TestTenant } from "./tenant.ts";

const requests = "v1/devices/me/rpc/request/+";

describe.concurrent("device-api 9.5, calls over MQTT", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start({ set: { "plugins.devices.config.clientRpcTimeout": "3s" } });
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  async function connected(level: Level, subscribe: string | undefined = requests) {
    const device = await tenant.device();
    const peer = await MqttDevice.connect(target, { level, username: device.token });
    if (subscribe !== undefined) {
      await peer.subscribe(subscribe);
      // SUBACK comes before the core knows (device-api corrections, C7).
      await pause(400);
    }
    const reply = (id: string, text: string, topic = "v1/devices/me/rpc/response/") => peer.say(topic + id, text);
    return { ...device, peer, reply, [Symbol.dispose]: () => peer.destroy() };
  }
  const idOf = (topic: string) => topic.split("/").at(-1) as string;
  const call = (id: string, body: object, kind = "twoway", api = "rpc") =>
    tenant.rest.call("POST", `/api/${api}/${kind}/${id}`, { method: "m", params: {}, ...body });
  const record = (rpcId: string) => tenant.rest.get(`/api/rpc/persistent/${rpcId}`);
  const persistent = async (id: string, body: object = {}, kind = "twoway") => {
    const { status, body: answer } = await call(id, { persistent: true, ...body }, kind);
    expect(status).toBe(200);
    return answer.rpcId as string;
  };
  const statusIs = (rpcId: string, wanted: string, ms = 10_000) =>
    eventually(
      () => record(rpcId),
      ({ status }) => status === wanted,
      ms,
    );

  rowOnBoth("MQTT-RPC-01", "a two-way call and its answer", async (level) => {
    using device = await connected(level);
    const answer = call(device.id, { method: "setRelay", params: { on: true } });
    const { topic, text } = await device.peer.hear();
    expect(text).toBe('{"method":"setRelay","params":{"on":true}}');
    expect(await device.reply(idOf(topic), '{"ok":true}')).toBe(0);
    expect(await answer).toEqual({ status: 200, body: { ok: true } });
  });

  rowOnBoth("MQTT-RPC-02", "a one-way call is over when it is handed to the device", async (level) => {
    using device = await connected(level);
    const answer = call(device.id, {}, "oneway");
    await device.peer.hear();
    expect(await answer).toEqual({ status: 200, body: undefined });
  });

  row("MQTT-RPC-03", "ids count from 0", async () => {
    using device = await connected(4);
    for (const id of ["0", "1", "2"]) {
      await call(device.id, {}, "oneway");
      expect(idOf((await device.peer.hear()).topic)).toBe(id);
    }
  });

  row("MQTT-RPC-04", "without an answer: 504, 408 with the first API, after at least 5 s", async () => {
    using device = await connected(4);
    const began = performance.now();
    const both = [call(device.id, { timeout: 1 }), call(device.id, { timeout: 1 }, "twoway", "plugins/rpc")];
    await device.peer.hear();
    await device.peer.hear();
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([504, 408]);
    expect(performance.now() - began).toBeGreaterThan(4_900);
  });

  row("MQTT-RPC-05", "nobody there until the deadline: 504, 409 with the first API", async () => {
    const { id } = await tenant.device();
    const both = [call(id, { timeout: 1 }), call(id, { timeout: 1 }, "twoway", "plugins/rpc")];
    expect((await Promise.all(both)).map(({ status }) => status)).toEqual([504, 409]);
  });

  row("MQTT-RPC-06", "a call waits for the device to subscribe", async () => {
    const { id, token } = await tenant.device();
    const answer = call(id, { timeout: 10_000 });
    await pause(300);
    using peer = await MqttDevice.connect(target, { username: token });
    await peer.subscribe(requests);
    const { topic } = await peer.hear();
    await peer.say(`v1/devices/me/rpc/response/${idOf(topic)}`, '{"late":1}');
    expect((await answer).body).toEqual({ late: 1 });
  });

  row("MQTT-RPC-07", "connected is not subscribed", async () => {
    const { id, token } = await tenant.device();
    using peer = await MqttDevice.connect(target, { username: token });
    expect((await call(id, { timeout: 1 }, "twoway", "plugins/rpc")).status).toBe(409);
    expect(peer.packets).toEqual([]);
  });

  row("MQTT-RPC-08", "an answer that is no JSON is 406", async () => {
    using device = await connected(4);
    const answer = call(device.id, {});
    await device.reply(idOf((await device.peer.hear()).topic), "not json{");
    expect((await answer).status).toBe(406);
  });

  row("MQTT-RPC-09", "of two answers the first counts, both are acknowledged", async () => {
    using device = await connected(5);
    const answer = call(device.id, {});
    const id = idOf((await device.peer.hear()).topic);
    expect(await device.reply(id, '{"n":1}')).toBe(0);
    expect(await device.reply(id, '{"n":2}')).toBe(0);
    expect((await answer).body).toEqual({ n: 1 });
  });

  row("MQTT-RPC-10", "unanswered calls come again with the next subscription, under the same id", async () => {
    using device = await connected(4);
    const answer = call(device.id, { timeout: 10_000 });
    const first = (await device.peer.hear()).topic;
    device.peer.send({ cmd: "unsubscribe", messageId: 3, unsubscriptions: [requests] });
    await device.peer.next("unsuback");
    await pause(300);
    await device.peer.subscribe(requests);
    expect((await device.peer.hear()).topic).toBe(first);
    await device.reply(idOf(first), "{}");
    expect((await answer).status).toBe(200);
  });

  row("MQTT-RPC-11", "a persistent call is told at once, and queued while nobody is there", async () => {
    const { id } = await tenant.device();
    const rpcId = await persistent(id);
    expect(await record(rpcId)).toMatchObject({ status: "QUEUED", id: { id: rpcId, entityType: "RPC" } });
  });

  row("MQTT-RPC-12", "SENT, DELIVERED, SUCCESSFUL, with the answer", async () => {
    using device = await connected(4);
    const rpcId = await persistent(device.id);
    const { topic, messageId } = await device.peer.next("publish");
    await statusIs(rpcId, "SENT");
    device.peer.send({ cmd: "puback", messageId });
    await statusIs(rpcId, "DELIVERED");
    await device.reply(idOf(topic), '{"ok":1}');
    expect((await statusIs(rpcId, "SUCCESSFUL")).response).toEqual({ ok: 1 });
    const statuses = () => tenant.eventsOf(device.id).filter((type) => /^RPC_(?!CALL)/.test(type));
    await eventually(statuses, (seen) => seen.length === 4);
    expect(statuses()).toEqual(["RPC_QUEUED", "RPC_SENT", "RPC_DELIVERED", "RPC_SUCCESSFUL"]);
  });

  row("MQTT-RPC-13", "one-way ends DELIVERED", async () => {
    using device = await connected(4);
    const rpcId = await persistent(device.id, {}, "oneway");
    await device.peer.hear();
    await statusIs(rpcId, "DELIVERED");
  });

  row(
    "MQTT-RPC-14",
    "unconfirmed for 10 s is TIMEOUT, and FAILED when the retries are used up",
    async () => {
      using device = await connected(4);
      const rpcId = await persistent(device.id, { retries: 0, timeout: 60_000 });
      await device.peer.next("publish");
      const { response } = await statusIs(rpcId, "FAILED", 20_000);
      expect(response.error).toContain("Retry attempts set: 0");
    },
    40_000,
  );

  row("MQTT-RPC-15", "EXPIRED when the deadline passes", async () => {
    const { id } = await tenant.device();
    const rpcId = await persistent(id, { timeout: 1 });
    await statusIs(rpcId, "EXPIRED");
  });

  rowOnBoth("MQTT-RPC-16", "a device's own call is answered by the rule chain", async (level) => {
    using device = await connected(level, undefined);
    expect(await device.peer.say("v1/devices/me/rpc/request/12", '{"method":"echo","params":{"a":1}}')).toBe(0);
    expect(await device.peer.hear()).toMatchObject({ topic: "v1/devices/me/rpc/response/12", text: '{"a":1}' });
  });

  rowOnBoth("MQTT-RPC-17", "a device's own call that nobody answers ends with an error", async (level) => {
    using device = await connected(level, undefined);
    expect(await device.peer.say("v1/devices/me/rpc/request/12", '{"method":"m","params":{}}')).toBe(0);
    expect(await device.peer.hear(8_000)).toMatchObject({
      topic: "v1/devices/me/rpc/response/12",
      text: '{"error":"timeout"}',
    });
    const asked = target.witnessed(device.id).find(({ type }) => type === "TO_SERVER_RPC_REQUEST");
    expect(asked).toMatchObject({ data: '{"method":"m","params":{}}', metadata: { requestId: "12" } });
  });

  rowOnBoth(
    "MQTT-RPC-18",
    "getSessionLimits is answered by the transport, behind its acknowledgement",
    async (level) => {
      using device = await connected(level, undefined);
      const asked = '{"method":"getSessionLimits","params":{"timeout":5000}}';
      expect(await device.peer.say("v1/devices/me/rpc/request/1", asked)).toBe(0);
      const none = { messages: null, telemetryMessages: null, telemetryDataPoints: null };
      expect(JSON.parse((await device.peer.hear()).text)).toEqual({
        maxPayloadSize: 65_536,
        maxInflightMessages: 100,
        rateLimits: none,
      });
      expect(tenant.eventsOf(device.id)).not.toContain("TO_SERVER_RPC_REQUEST");
    },
  );

  row("MQTT-RPC-19", "a gateway hears the limits of its children too", async () => {
    const { token } = await tenant.gateway();
    using peer = await MqttDevice.connect(target, { username: token });
    await peer.say("v1/devices/me/rpc/request/1", '{"method":"getSessionLimits","params":{}}');
    expect(JSON.parse((await peer.hear()).text)).toHaveProperty("gatewayRateLimits");
  });

  rowOnBoth("MQTT-RPC-20", "a call without a method is a payload error", async (level) => {
    using device = await connected(level, undefined);
    device.peer.publish("v1/devices/me/rpc/request/1", '{"params":{}}');
    if (level === 4) await device.peer.closedUnanswered();
    else expect((await device.peer.next("puback")).reasonCode).toBe(0x99);
  });

  rowOnBoth("MQTT-RPC-21", "an answer whose id is no number is a payload error", async (level) => {
    using device = await connected(level, undefined);
    device.peer.publish("v1/devices/me/rpc/response/abc", "{}");
    if (level === 4) await device.peer.closedUnanswered();
    else expect((await device.peer.next("puback")).reasonCode).toBe(0x99);
  });

  row("MQTT-RPC-22", "in the short family both ways", async () => {
    using device = await connected(5, "v2/r/req/+");
    const answer = call(device.id, {});
    const { topic } = await device.peer.hear();
    expect(topic).toMatch(/^v2\/r\/req\/\d+$/);
    await device.reply(idOf(topic), '{"s":1}', "v2/r/res/");
    expect((await answer).body).toEqual({ s: 1 });
  });

  row("MQTT-RPC-23", "params given as a text come as a JSON string", async () => {
    using device = await connected(4);
    void call(device.id, { params: "on" }, "oneway");
    expect((await device.peer.hear()).text).toBe('{"method":"m","params":"on"}');
  });
});
