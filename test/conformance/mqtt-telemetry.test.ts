import { afterAll, beforeAll, describe, expect } from "vitest";
import { MqttDevice } from "./mqtt.ts";
import { type Level, row, rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, pause, TestTenant } from "./tenant.ts";

const telemetry = "v1/devices/me/telemetry";
const attributes = "v1/devices/me/attributes";
const ts = 1_700_000_000_000;

describe.concurrent("device-api 9.4, telemetry over MQTT", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  const mqttProfile = (more: object = {}) => tenant.profile({ transport: { type: "MQTT", ...more } });
  async function connected(level: Level, wish: Parameters<TestTenant["device"]>[0] = {}) {
    const device = await tenant.device(wish);
    const peer = await MqttDevice.connect(target, { level, username: device.token });
    return { ...device, peer, [Symbol.dispose]: () => peer.destroy() };
  }
  const reads = (id: string, values: Record<string, unknown>) =>
    eventually(
      () => tenant.latest(id, Object.keys(values)),
      (found) =>
        Object.entries(values).every(([key, value]) => JSON.stringify(found[key]?.value) === JSON.stringify(value)),
    );

  /** As rows 9 and 10 have it: 3.1.1 is closed unacknowledged, 5 is told and stays. */
  async function isPayloadError(level: Level, topic: string, payload: string) {
    using device = await connected(level);
    device.peer.publish(topic, payload);
    if (level === 4) return device.peer.closedUnanswered();
    expect((await device.peer.next("puback")).reasonCode).toBe(0x99);
    expect(await device.peer.stays()).toBe(true);
  }

  rowOnBoth("MQTT-TEL-01", "QoS 1 telemetry is acknowledged and stored", async (level) => {
    using device = await connected(level);
    expect(await device.peer.say(telemetry, '{"t":1}')).toBe(0);
    await reads(device.id, { t: 1 });
  });

  rowOnBoth("MQTT-TEL-02", "QoS 0 is stored without an acknowledgement", async (level) => {
    using device = await connected(level);
    device.peer.publish(telemetry, '{"t":1}', { qos: 0 });
    await reads(device.id, { t: 1 });
    expect(device.peer.packets).toEqual([]);
  });

  rowOnBoth("MQTT-TEL-03", "an explicit time is kept", async (level) => {
    using device = await connected(level);
    await device.peer.say(telemetry, `{"ts":${ts},"values":{"t":2}}`);
    await eventually(
      () => tenant.history(device.id, "t"),
      (all) => all.length === 1 && all[0]?.ts === ts,
    );
  });

  rowOnBoth("MQTT-TEL-04", "an array of three is three records and one acknowledgement", async (level) => {
    using device = await connected(level);
    await device.peer.say(telemetry, `[{"ts":${ts},"values":{"t":1}},{"ts":${ts + 1},"values":{"t":2}},{"t":3}]`);
    await eventually(
      () => tenant.history(device.id, "t"),
      (all) => all.length === 3,
    );
    expect(device.peer.packets).toEqual([]);
  });

  row("MQTT-TEL-05", "a lone `ts` is a key", async () => {
    using device = await connected(4);
    await device.peer.say(telemetry, `{"ts":${ts},"t":3}`);
    await reads(device.id, { ts, t: 3 });
    expect((await tenant.latest(device.id, ["t"]))["t"]?.ts).toBeGreaterThan(ts);
  });

  row("MQTT-TEL-06", "a time may be digits in a text", async () => {
    using device = await connected(4);
    await device.peer.say(telemetry, `{"ts":"${ts}","values":{"t":2}}`);
    await eventually(
      () => tenant.history(device.id, "t"),
      (all) => all[0]?.ts === ts,
    );
  });

  rowOnBoth("MQTT-TEL-07", "`{}` is acknowledged and makes the device active", async (level) => {
    using device = await connected(level);
    expect(await device.peer.say(telemetry, "{}")).toBe(0);
    expect(await device.peer.stays()).toBe(true);
    await eventually(
      () => tenant.attributes(device.id, "SERVER_SCOPE"),
      ({ active }) => active === true,
    );
  });

  rowOnBoth("MQTT-TEL-08", "`[]` is acknowledged", async (level) => {
    using device = await connected(level);
    expect(await device.peer.say(telemetry, "[]")).toBe(0);
    expect(await device.peer.stays()).toBe(true);
  });

  row("MQTT-TEL-09", "malformed JSON closes 3.1.1 without an acknowledgement", () =>
    isPayloadError(4, telemetry, '{"a":1'),
  );
  row("MQTT-TEL-10", "malformed JSON is 0x99 on 5, which stays", () => isPayloadError(5, telemetry, '{"a":1'));
  row("MQTT-TEL-11", "malformed JSON at QoS 0 closes 5 with 0x99", async () => {
    using device = await connected(5);
    device.peer.publish(telemetry, '{"a":1', { qos: 0 });
    expect((await device.peer.next("disconnect")).reasonCode).toBe(0x99);
    await device.peer.closed();
  });
  rowOnBoth("MQTT-TEL-12", "an empty payload is a payload error", (level) => isPayloadError(level, telemetry, ""));
  rowOnBoth("MQTT-TEL-13", "neither an object nor an array of them", async (level) => {
    for (const payload of ["5", '"x"', "[1]"]) await isPayloadError(level, telemetry, payload);
  });
  rowOnBoth("MQTT-TEL-14", "`values` that are no object", (level) =>
    isPayloadError(level, telemetry, '{"ts":1,"values":[1]}'),
  );
  rowOnBoth("MQTT-TEL-15", "a `ts` that is no number", (level) =>
    isPayloadError(level, telemetry, '{"ts":"abc","values":{"a":1}}'),
  );

  row("MQTT-TEL-16", "a profile may have malformed payloads acknowledged on 3.1.1", async () => {
    using device = await connected(4, { profileId: await mqttProfile({ sendAckOnValidationException: true }) });
    expect(await device.peer.say(telemetry, "{broken")).toBe(0);
    expect(await device.peer.stays()).toBe(true);
  });

  rowOnBoth("MQTT-TEL-17", "an unknown topic is acknowledged as one", async (level) => {
    using device = await connected(level);
    expect(await device.peer.say("foo/bar", '{"a":1}')).toBe(level === 5 ? 0x90 : 0);
    expect(await device.peer.stays()).toBe(true);
  });

  row("MQTT-TEL-18", "the short topics", async () => {
    using device = await connected(5);
    expect(await device.peer.say("v2/t", '{"a":1}')).toBe(0);
    expect(await device.peer.say("v2/t/j", '{"b":2}')).toBe(0);
    await reads(device.id, { a: 1, b: 2 });
  });

  row("MQTT-TEL-19", "a filter of the profile, and the topic as metadata", async () => {
    using device = await connected(5, { profileId: await mqttProfile({ deviceTelemetryTopic: "plant/+/data" }) });
    expect(await device.peer.say("plant/1/data", '{"p":1}')).toBe(0);
    await reads(device.id, { p: 1 });
    const posted = tenant.target.witnessed(device.id).find(({ type }) => type === "POST_TELEMETRY_REQUEST");
    expect(posted?.metadata["mqttTopic"]).toBe("plant/1/data");
  });

  row("MQTT-TEL-20", "the filter takes the place of the standard topic", async () => {
    using device = await connected(5, { profileId: await mqttProfile({ deviceTelemetryTopic: "plant/+/data" }) });
    expect(await device.peer.say(telemetry, '{"v":1}')).toBe(0x90);
    await device.peer.say("plant/1/data", '{"p":1}');
    await reads(device.id, { p: 1 });
    expect((await tenant.latest(device.id, ["v"]))["v"]?.value ?? null).toBeNull();
  });

  row("MQTT-TEL-21", "the short topics stay beside it", async () => {
    using device = await connected(5, { profileId: await mqttProfile({ deviceTelemetryTopic: "plant/+/data" }) });
    expect(await device.peer.say("v2/t", '{"s":1}')).toBe(0);
    await reads(device.id, { s: 1 });
  });

  row("MQTT-TEL-22", "`/#` is the level and all below", async () => {
    using device = await connected(5, { profileId: await mqttProfile({ deviceTelemetryTopic: "plant/#" }) });
    await device.peer.say("plant", '{"a":1}');
    await device.peer.say("plant/a/b", '{"b":1}');
    await reads(device.id, { a: 1, b: 1 });
  });

  rowOnBoth("MQTT-TEL-23", "a hundred in flight", async (level) => {
    using device = await connected(level);
    for (let n = 1; n <= 100; n++) {
      device.peer.publish(telemetry, `{"ts":${ts + n},"values":{"n":${n}}}`, { messageId: n });
    }
    for (let n = 1; n <= 100; n++) expect((await device.peer.next("puback")).messageId).toBe(n);
    await eventually(
      () => tenant.history(device.id, "n"),
      (all) => all.length === 100,
    );
  });

  row("MQTT-TEL-24", "a changed filter holds with the next publish", async () => {
    const profileId = await mqttProfile({ deviceTelemetryTopic: "plant/+/data" });
    using device = await connected(5, { profileId });
    await device.peer.say("plant/1/data", '{"before":1}');
    const profile = await tenant.rest.get(`/api/deviceProfile/${profileId}`);
    profile.profileData.transportConfiguration.deviceTelemetryTopic = "site/+/data";
    await tenant.rest.post("/api/deviceProfile", profile);
    await eventually(
      () => device.peer.say("site/1/data", '{"after":1}'),
      (code) => code === 0,
    );
    expect(await device.peer.say("plant/1/data", '{"late":1}')).toBe(0x90);
    await reads(device.id, { before: 1, after: 1 });
  });
});

describe.concurrent("device-api 9.4, attributes over MQTT", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  async function connected(level: Level, wish: Parameters<TestTenant["device"]>[0] = {}) {
    const device = await tenant.device(wish);
    const peer = await MqttDevice.connect(target, { level, username: device.token });
    const ask = async (id: number | string, document: string, topic = "v1/devices/me/attributes/request/") => {
      expect(await peer.say(`${topic}${id}`, document)).toBe(0);
      const { topic: answered, text, qos } = await peer.hear();
      return { topic: answered, qos, json: JSON.parse(text) };
    };
    return { ...device, peer, ask, [Symbol.dispose]: () => peer.destroy() };
  }
  /** SUBACK comes before the core knows (device-api corrections, C7). */
  const known = () => pause(400);

  rowOnBoth("MQTT-ATT-01", "client attributes are stored and not pushed back", async (level) => {
    using device = await connected(level);
    await device.peer.subscribe(attributes);
    expect(await device.peer.say(attributes, '{"serial":"A"}')).toBe(0);
    await eventually(
      () => tenant.attributes(device.id, "CLIENT_SCOPE"),
      ({ serial }) => serial === "A",
    );
    await pause(300);
    expect(device.peer.packets.filter(({ cmd }) => cmd === "publish")).toEqual([]);
  });

  rowOnBoth("MQTT-ATT-02", "an array is a payload error", async (level) => {
    using device = await connected(level);
    device.peer.publish(attributes, '[{"a":1}]');
    if (level === 4) await device.peer.closedUnanswered();
    else expect((await device.peer.next("puback")).reasonCode).toBe(0x99);
  });

  rowOnBoth("MQTT-ATT-03", "named attributes of both scopes", async (level) => {
    using device = await connected(level);
    await device.peer.say(attributes, '{"a":1,"b":"x","z":0}');
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { c: true, d: 1 });
    await eventually(
      () => tenant.attributes(device.id, "CLIENT_SCOPE"),
      ({ a }) => a === 1,
    );
    const { topic, json } = await device.ask(7, '{"clientKeys":"a,b","sharedKeys":"c"}');
    expect(topic).toBe("v1/devices/me/attributes/response/7");
    expect(json).toEqual({ client: { a: 1, b: "x" }, shared: { c: true } });
  });

  row("MQTT-ATT-04", "nothing named is everything", async () => {
    using device = await connected(5);
    await device.peer.say(attributes, '{"a":1}');
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { c: 1 });
    await eventually(
      () => tenant.attributes(device.id, "CLIENT_SCOPE"),
      ({ a }) => a === 1,
    );
    expect((await device.ask(1, "{}")).json).toEqual({ client: { a: 1 }, shared: { c: 1 } });
  });

  row("MQTT-ATT-05", "one scope named is that scope only", async () => {
    using device = await connected(5);
    await device.peer.say(attributes, '{"a":1}');
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { c: 1 });
    expect((await device.ask(1, '{"sharedKeys":"c"}')).json).toEqual({ shared: { c: 1 } });
  });

  row("MQTT-ATT-06", "nothing found is `{}`", async () => {
    using device = await connected(5);
    expect((await device.ask(1, '{"clientKeys":"x","sharedKeys":"y"}')).json).toEqual({});
  });

  row("MQTT-ATT-07", "an answer needs no subscription, and comes at QoS 1", async () => {
    using device = await connected(4);
    expect((await device.ask(1, "{}")).qos).toBe(1);
  });

  rowOnBoth("MQTT-ATT-08", "an id that is no number is a payload error", async (level) => {
    using device = await connected(level);
    device.peer.publish("v1/devices/me/attributes/request/abc", "{}");
    if (level === 4) await device.peer.closedUnanswered();
    else expect((await device.peer.next("puback")).reasonCode).toBe(0x99);
  });

  rowOnBoth("MQTT-ATT-09", "an empty request is a payload error", async (level) => {
    using device = await connected(level);
    device.peer.publish("v1/devices/me/attributes/request/1", "");
    if (level === 4) await device.peer.closedUnanswered();
    else expect((await device.peer.next("puback")).reasonCode).toBe(0x99);
  });

  row("MQTT-ATT-10", "two requests in flight, two answers", async () => {
    using device = await connected(5);
    device.peer.publish("v1/devices/me/attributes/request/1", "{}", { messageId: 1 });
    device.peer.publish("v1/devices/me/attributes/request/2", "{}", { messageId: 2 });
    const topics = [(await device.peer.hear()).topic, (await device.peer.hear()).topic];
    expect(topics.sort()).toEqual(["v1/devices/me/attributes/response/1", "v1/devices/me/attributes/response/2"]);
  });

  row("MQTT-ATT-11", "nested JSON and doubles stay what they are", async () => {
    using device = await connected(5);
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { j: { a: [1, 2] }, d: 2.5 });
    expect((await device.ask(1, '{"sharedKeys":"j,d"}')).json).toEqual({ shared: { j: { a: [1, 2] }, d: 2.5 } });
  });

  rowOnBoth("MQTT-ATT-12", "saved shared attributes are pushed", async (level) => {
    using device = await connected(level);
    await device.peer.subscribe(attributes);
    await known();
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { k: "v" });
    expect(await device.peer.hear()).toMatchObject({ topic: attributes, text: '{"k":"v"}' });
  });

  row("MQTT-ATT-13", "and so is their removal", async () => {
    using device = await connected(5);
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { k: "v" });
    await device.peer.subscribe(attributes);
    await known();
    await tenant.deleteAttributes(device.id, "SHARED_SCOPE", ["k"]);
    expect((await device.peer.hear()).text).toBe('{"deleted":["k"]}');
  });

  row("MQTT-ATT-14", "server attributes are not", async () => {
    using device = await connected(5);
    await device.peer.subscribe(attributes);
    await known();
    await tenant.saveAttributes(device.id, "SERVER_SCOPE", { k: "v" });
    await pause(500);
    expect(device.peer.packets).toEqual([]);
  });

  row("MQTT-ATT-15", "pushes come in the family of the subscription", async () => {
    using device = await connected(5);
    await device.peer.subscribe("v2/a/j");
    await known();
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { k: 1 });
    expect((await device.peer.hear()).topic).toBe("v2/a/j");
  });

  row("MQTT-ATT-16", "answers come in the family of the request", async () => {
    using device = await connected(5);
    expect((await device.ask(3, "{}", "v2/a/req/j/")).topic).toBe("v2/a/res/j/3");
  });

  row("MQTT-ATT-17", "a filter of the profile asks for pushes, which come on the standard topic", async () => {
    const profileId = await tenant.profile({
      transport: { type: "MQTT", deviceAttributesSubscribeTopic: "plant/+/cfg" },
    });
    using device = await connected(5, { profileId });
    expect(await device.peer.subscribe("plant/1/cfg")).toEqual([1]);
    await known();
    await tenant.saveAttributes(device.id, "SHARED_SCOPE", { k: 1 });
    expect((await device.peer.hear()).topic).toBe(attributes);
  });

  row("MQTT-ATT-18", "server attributes are never read by a device", async () => {
    using device = await connected(5);
    await tenant.saveAttributes(device.id, "SERVER_SCOPE", { secret: 1 });
    expect((await device.ask(1, '{"sharedKeys":"secret,active"}')).json).toEqual({});
  });
});
