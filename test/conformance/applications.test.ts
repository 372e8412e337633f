import { connect, connectAsync, type IClientOptions, type IClientPublishOptions, type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Peer } from "../../plugins/transport-mqtt/testing/peer.ts";
import { MqttDevice } from "./mqtt.ts";
import { Target } from "./target.ts";
import { eventually, pause, TestTenant } from "./tenant.ts";

interface Application {
  readonly id: string;
  readonly userName: string;
  readonly password: string;
}
interface Heard {
  readonly topic: string;
  readonly text: string;
  readonly retain: boolean;
  readonly qos: number;
}

/** A client of another maker; remembers what it heard. */
class App implements AsyncDisposable {
  readonly client: MqttClient;
  readonly heard: Heard[] = [];

  constructor(client: MqttClient) {
    this.client = client;
    client.on("error", () => {});
    client.on("message", (topic, payload, { retain, qos }) =>
      this.heard.push({ topic, text: String(payload), retain, qos }),
    );
  }

  static async connect(target: Target, who: Application, more: IClientOptions = {}): Promise<App> {
    const { userName: username, password } = who;
    const options = { username, password, reconnectPeriod: 0, connectTimeout: 5_000, ...more };
    return new App(await connectAsync(`mqtt://127.0.0.1:${target.mqtt}`, options, false));
  }

  /** Granted codes. */
  async subscribe(...filters: string[]): Promise<number[]> {
    const granted: number[] = [];
    for (const filter of filters) {
      const [one] = await this.client.subscribeAsync(filter, { qos: 2 }).catch(() => [{ qos: 128 }]);
      granted.push(one?.qos ?? 128);
    }
    return granted;
  }

  publish(topic: string, text: string, more: IClientPublishOptions = {}) {
    return this.client.publishAsync(topic, text, { qos: 1, ...more });
  }

  hears(holds: (heard: readonly Heard[]) => boolean, ms = 10_000): Promise<Heard[]> {
    return eventually(() => this.heard, holds, ms);
  }

  get texts(): string[] {
    return this.heard.map(({ text }) => text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.endAsync(true);
  }
}

const closing = (app: App) => new Promise<void>((resolve) => app.client.once("close", () => resolve()));

describe.concurrent("applications on the devices' port", () => {
  let target: Target;
  let tenant: TestTenant;
  let space: string;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
    space = `tenant/${tenant.id}`;
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  let made = 0;
  async function application(more: object = {}, of: TestTenant = tenant): Promise<Application> {
    const { id, userName, password } = await of.rest.post("/api/application", {
      name: `application ${++made}`,
      ...more,
    });
    return { id: id.id, userName, password: target.secret("application's password", password) };
  }

  it("are managed by the tenant's administrators, and their passwords told once", async () => {
    const { id, userName, password } = await application({ subscribe: ["device/#"], publish: [] });
    expect(userName).toBe(`app/${id}`);
    expect(password).toMatch(/^[\w-]{32}$/);
    const found = await tenant.rest.get(`/api/application/${id}`);
    expect(found).toMatchObject({ enabled: true, subscribe: ["device/#"], publish: [], version: 1 });
    expect(JSON.stringify([found, await tenant.rest.get("/api/applications?pageSize=100&page=0")])).not.toContain(
      password,
    );
    const { rest: customer } = await tenant.customer();
    const stranger = await TestTenant.create(target);
    expect((await customer.call("GET", "/api/applications?pageSize=1&page=0")).status).toBe(403);
    for (const [method, path] of [
      ["GET", ""],
      ["DELETE", ""],
      ["POST", "/password"],
    ] as const)
      expect((await stranger.rest.call(method, `/api/application/${id}${path}`)).status).toBe(404);
    for (const filter of ["a/#/b", "a+", "$SYS/#", ""])
      expect((await tenant.rest.call("POST", "/api/application", { name: "bad", publish: [filter] })).status).toBe(400);
    expect((await tenant.rest.call("POST", "/api/application", { name: found.name })).status).toBe(400);
    const changed = await tenant.rest.post("/api/application", { ...found, name: "renamed" });
    expect(changed).toMatchObject({ version: 2, name: "renamed", subscribe: ["device/#"] });
    expect((await tenant.rest.call("POST", "/api/application", { ...found, name: "late" })).status).toBe(409);
    await tenant.rest.delete(`/api/application/${id}`);
    expect((await tenant.rest.call("GET", `/api/application/${id}`)).status).toBe(404);
  });

  it("hear what devices send, and get what is stored of them first", async () => {
    const device = await tenant.device();
    const topic = (what: string) => `${space}/device/${device.id}/${what}`;
    await using live = await App.connect(target, await application());
    expect(await live.subscribe(`${space}/device/+/telemetry`, topic("attributes"), topic("event"))).toEqual([2, 2, 2]);
    using peer = await MqttDevice.connect(target, { username: device.token });
    await peer.say("v1/devices/me/telemetry", '{"temperature":25,"big":9007199254740993}');
    await peer.say("v1/devices/me/attributes", '{"firmware":"v1"}');
    await tenant.saveAttributes(device.id, "SERVER_SCOPE", { limit: 3 });
    const textOf = (what: string, part: string) =>
      live.heard.find((one) => one.topic === topic(what) && !one.retain && one.text.includes(part))?.text ?? "";
    await live.hears(() =>
      (
        [
          ["telemetry", "temperature"],
          ["attributes", "firmware"],
          ["attributes", "limit"],
          ["event", "CONNECT_EVENT"],
        ] as const
      ).every(([what, part]) => textOf(what, part) !== ""),
    );
    expect(textOf("telemetry", "temperature")).toMatch(/"values":\{"temperature":25,"big":9007199254740993\}\}$/);
    expect(JSON.parse(textOf("telemetry", "temperature"))).toMatchObject({
      deviceName: device.name,
      deviceType: "default",
    });
    expect(JSON.parse(textOf("attributes", "firmware"))).toMatchObject({
      scope: "CLIENT_SCOPE",
      values: { firmware: "v1" },
    });
    expect(JSON.parse(textOf("attributes", "limit"))).toMatchObject({ scope: "SERVER_SCOPE", values: { limit: 3 } });
    expect(JSON.parse(textOf("event", "CONNECT_EVENT"))).toMatchObject({ type: "CONNECT_EVENT" });

    await eventually(
      () => tenant.latest(device.id),
      (latest) => latest["temperature"]?.value === 25,
    );
    await using late = await App.connect(target, await application());
    await late.subscribe(`${space}/device/${device.id}/#`);
    const retained = await late.hears((heard) =>
      ["telemetry", "attributes", "event"].every((what) => heard.some((one) => one.topic === topic(what))),
    );
    expect(retained.every(({ retain }) => retain)).toBe(true);
    const latest = retained.find((one) => one.topic === topic("telemetry"));
    expect(JSON.parse(latest?.text ?? "")).toMatchObject({ deviceName: device.name, values: { temperature: 25 } });
  });

  it("publish to the rule engine, acknowledged when durable", async () => {
    await using app = await App.connect(target, await application());
    await app.publish(`${space}/line/7`, '{"speed":5}');
    await app.publish(`${space}/line/7`, "a text", { qos: 2 });
    await app.publish(`${space}/line/7`, Buffer.from([0xff, 0xfe]) as unknown as string, { qos: 0 });
    const messages = await eventually(
      () => target.witnessed(tenant.id).filter(({ metadata }) => metadata["topic"] === `${space}/line/7`),
      ({ length }) => length === 3,
    );
    expect(messages.map(({ type }) => type)).toEqual(Array(3).fill("APPLICATION_MESSAGE"));
    expect(messages.map(({ data }) => data)).toEqual([
      '{"speed":5}',
      "a text",
      Buffer.from([0xff, 0xfe]).toString("base64"),
    ]);
    expect(messages[0]?.metadata).toMatchObject({ qos: "1", applicationName: expect.stringContaining("application") });
  });

  it("speak with each other, each QoS, in order and once", async () => {
    await using listener = await App.connect(target, await application());
    await listener.subscribe(`${space}/talk/#`);
    await using speaker = await App.connect(target, await application());
    const texts = Array.from({ length: 60 }, (_, n) => String(n));
    await Promise.all(
      texts.map((text, n) => speaker.publish(`${space}/talk/${n % 3}`, text, { qos: (n % 3) as 0 | 1 | 2 })),
    );
    await listener.hears(({ length }) => length >= 60);
    await pause(200);
    // A client shows a QoS 2 message only when it is released: the order is that of each topic.
    for (const qos of [0, 1, 2]) {
      const heard = listener.heard.filter(({ topic }) => topic.endsWith(`/${qos}`));
      expect(heard.map(({ text }) => text)).toEqual(texts.filter((_, n) => n % 3 === qos));
      expect(heard.every((one) => one.qos === qos)).toBe(true);
    }
  });

  it("never reach another tenant, nor topics of devices", async () => {
    const other = await TestTenant.create(target);
    await using app = await App.connect(target, await application());
    await using neighbour = await App.connect(target, await application({}, other), { clientId: "same" });
    await using twin = await App.connect(target, await application(), { clientId: "same" });
    expect(await app.subscribe(`tenant/${other.id}/#`, "$SYS/#", `tenant/${tenant.id}`, "other/#")).toEqual(
      Array(4).fill(128),
    );
    expect(await app.subscribe("#", "tenant/+/line/1")).toEqual([2, 2]);
    await neighbour.publish(`tenant/${other.id}/line/1`, "theirs");
    await twin.publish(`${space}/line/1`, "ours");
    await app.hears((heard) => heard.some(({ text }) => text === "ours"));
    expect(app.texts).not.toContain("theirs");
    for (const topic of [`tenant/${other.id}/line/1`, `${space}/device/x/telemetry`, "free", "$SYS/x"]) {
      await using bad = await App.connect(target, await application());
      const closed = closing(bad);
      void bad.publish(topic, "x").catch(() => {});
      await closed;
    }
    expect(neighbour.client.connected && twin.client.connected).toBe(true);
  });

  it("do what they are permitted and no more", async () => {
    await using app = await App.connect(
      target,
      await application({ publish: ["out/+"], subscribe: ["device/+/telemetry", "in/#"] }),
    );
    expect(
      await app.subscribe(`${space}/in/a/b`, `${space}/device/+/telemetry`, `${space}/device/+/event`, "#"),
    ).toEqual([2, 2, 128, 128]);
    await app.publish(`${space}/out/1`, "good");
    const closed = closing(app);
    void app.publish(`${space}/out/1/2`, "bad").catch(() => {});
    await closed;
  });

  it("leave wills and retained messages", async () => {
    await using watcher = await App.connect(target, await application());
    await watcher.subscribe(`${space}/state/+`);
    const will = { topic: `${space}/state/dying`, payload: Buffer.from("gone"), qos: 1 as const, retain: true };
    const dying = await App.connect(target, await application(), { will });
    const polite = await App.connect(target, await application(), {
      will: { ...will, topic: `${space}/state/polite` },
    });
    await polite.client.endAsync();
    dying.client.stream.destroy();
    await watcher.hears((heard) => heard.some(({ topic }) => topic.endsWith("/dying")));
    expect(watcher.heard.some(({ topic }) => topic.endsWith("/polite"))).toBe(false);
    await using late = await App.connect(target, await application());
    await late.subscribe(`${space}/state/#`);
    expect(await late.hears(({ length }) => length > 0)).toMatchObject([
      { text: "gone", retain: true, topic: `${space}/state/dying` },
    ]);
    await late.publish(`${space}/state/dying`, "", { retain: true });
    await using last = await App.connect(target, await application());
    await last.subscribe(`${space}/state/#`);
    await pause(300);
    expect(last.heard).toEqual([]);
  });

  it("find what came while they were away", async () => {
    const device = await tenant.device();
    const who = await application();
    const session = { clientId: `session-${device.id}`, clean: false };
    const first = await App.connect(target, who, session);
    await first.subscribe(`${space}/device/${device.id}/telemetry`, `${space}/mail`);
    await first.client.endAsync();
    await using speaker = await App.connect(target, await application());
    for (let n = 0; n < 5; n++) await speaker.publish(`${space}/mail`, `mail ${n}`);
    await speaker.publish(`${space}/mail`, "not kept", { qos: 0 });
    using peer = await MqttDevice.connect(target, { username: device.token });
    await peer.say("v1/devices/me/telemetry", '{"away":1}');
    await eventually(
      () => tenant.latest(device.id),
      (latest) => latest["away"] !== undefined,
    );
    await pause(500);
    const texts: string[] = [];
    const credentials = { username: who.userName, password: who.password, reconnectPeriod: 0 };
    const client = connect(`mqtt://127.0.0.1:${target.mqtt}`, { ...session, ...credentials });
    client.on("message", (_topic, payload) => texts.push(String(payload)));
    await eventually(
      () => texts,
      ({ length }) => length >= 6,
    );
    expect(texts.filter((text) => text.startsWith("mail"))).toEqual([0, 1, 2, 3, 4].map((n) => `mail ${n}`));
    expect(texts.find((text) => text.includes('"away":1'))).toBeDefined();
    await client.endAsync();
    // Acknowledged: it does not come again, as soon as the acknowledgements are stored.
    const cameAgain = async () => {
      const again: string[] = [];
      const next = connect(`mqtt://127.0.0.1:${target.mqtt}`, { ...session, ...credentials });
      next.on("message", (_topic, payload) => again.push(String(payload)));
      await new Promise<void>((resolve) => next.once("connect", () => resolve()));
      await pause(500);
      await next.endAsync();
      return again;
    };
    await eventually(cameAgain, ({ length }) => length === 0);
  });

  it("are disconnected when their credentials change", async () => {
    const ways: readonly ((who: Application) => Promise<unknown>)[] = [
      ({ id }) => tenant.rest.post(`/api/application/${id}/password`),
      ({ id }) => tenant.rest.delete(`/api/application/${id}`),
      async ({ id }) =>
        tenant.rest.post("/api/application", { ...(await tenant.rest.get(`/api/application/${id}`)), enabled: false }),
    ];
    for (const way of ways) {
      const who = await application();
      await using app = await App.connect(target, who);
      const closed = closing(app);
      const began = performance.now();
      await way(who);
      await closed;
      expect(performance.now() - began).toBeLessThan(2_000);
      await expect(App.connect(target, who)).rejects.toThrow(/Not authorized/);
    }
  });

  it("are refused with a wrong password, on MQTT 5 with the reason, and closed at a packet that is too large", async () => {
    const who = await application();
    await expect(
      App.connect(target, { ...who, password: target.secret("wrong password", "wrong-password-of-an-application") }),
    ).rejects.toThrow(/Not authorized/);
    const five = new Peer(target.mqtt, 5);
    five.connect({ username: who.userName, password: Buffer.from(who.password) });
    expect((await five.next("connack")).reasonCode).toBe(0x84);
    await five.closed();
    const large = new Peer(target.mqtt, 4);
    large.connect({ username: who.userName, password: Buffer.from(who.password) });
    await large.next("connack");
    large.socket.write(Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f]));
    await large.closed();
  });

  it("that do not read hold up nobody", async () => {
    const stuck = new Peer(target.mqtt, 4);
    const who = await application();
    stuck.connect({ username: who.userName, password: Buffer.from(who.password) });
    await stuck.next("connack");
    stuck.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "#", qos: 0 }] });
    await stuck.next("suback");
    stuck.socket.pause();
    await using listener = await App.connect(target, await application());
    await listener.subscribe(`${space}/probe`);
    await using speaker = await App.connect(target, await application());
    const bulk = "x".repeat(10_000);
    const waits: number[] = [];
    for (let n = 0; n < 20; n++) {
      for (let many = 0; many < 50; many++) void speaker.publish(`${space}/bulk`, bulk, { qos: 0 });
      const began = performance.now();
      await speaker.publish(`${space}/probe`, String(n));
      await listener.hears(({ length }) => length > n);
      waits.push(performance.now() - began);
    }
    expect(Math.max(...waits)).toBeLessThan(2_000);
    stuck.socket.resume();
    await stuck.closed();
  });
});
