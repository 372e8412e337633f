import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import mqttPacket, { type Packet } from "mqtt-packet";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { Peer as CoapPeer } from "../../plugins/transport-coap/testing/server.ts";
import { connectPacket, Peer as MqttPeer } from "../../plugins/transport-mqtt/testing/peer.ts";
import { Target } from "../conformance/target.ts";
import { entity, eventually, pause, TestTenant } from "../conformance/tenant.ts";

/**
 * Secrets of every kind go in through every door, right, wrong and mangled; afterwards none of them stands in a refusal, in the
 * log at level `debug`, in a metric, or in a rule message.
 */
describe("secrets", () => {
  let target: Target;
  let tenant: TestTenant;
  /** What clients were told when they were refused. */
  const refusals: string[] = [];

  beforeAll(async () => {
    target = await Target.start({ set: { "plugins.devices.config.sessionsPerDevice": "100" } });
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  const plant = (what: string) => target.secret(what, `canary${randomBytes(8).toString("hex")}`);
  const keep = (text: string) => refusals.push(text);

  /** Answers the status; what it says is kept unless it is 200. */
  async function http(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const answer = await fetch(target.http + path, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (answer.status !== 200) keep(`${method} ${path.split(/[/?]/)[2]} ${answer.status}: ${text}`);
    return { status: answer.status, text };
  }
  const asTenant = (method: string, path: string, body?: unknown) =>
    http(method, path, body, { "x-authorization": `Bearer ${tenant.rest.token}` });
  const refused = async (answer: Promise<{ status: number }>) => expect((await answer).status).toBeGreaterThan(399);

  it("of users: passwords, tokens, keys", async () => {
    const login = (body: unknown) => refused(http("POST", "/api/auth/login", body));
    const password = plant("password");
    await login({ username: "tenant@thingsboard.org", password });
    await login(`{"username":"tenant@thingsboard.org","password":"${password}"`);
    await login({ username: {}, password });
    await login({ username: "tenant@thingsboard.org", password: [password] });
    await refused(asTenant("POST", "/api/auth/changePassword", { currentPassword: password, newPassword: password }));
    await refused(asTenant("POST", "/api/auth/changePassword", { currentPassword: { password } }));
    // The reference's text repeats what it was sent, an unknown token; logs do not.
    const unknown = { activateToken: plant("activation token"), password };
    await refused(tenant.rest.call("POST", "/api/noauth/activate", unknown));
    await refused(http("GET", `/api/noauth/activate?activateToken=${plant("activation token in the address")}&x=%`));
    await refused(http("POST", "/api/auth/token", { refreshToken: `${tenant.rest.token}x` }));
    for (const scheme of ["Bearer ", "ApiKey ", ""]) {
      const headers = { "x-authorization": `${scheme}${plant(`header with ${scheme}`)}` };
      await refused(http("GET", "/api/auth/user", undefined, headers));
    }
    const { userId } = JSON.parse(Buffer.from(tenant.rest.token.split(".")[1] ?? "", "base64url").toString());
    const made = await asTenant("POST", "/api/apiKey", { description: "d", userId: entity("USER", userId) });
    const { value } = JSON.parse(made.text);
    const apiKey = { "x-authorization": `ApiKey ${target.secret("API key", value)}` };
    expect((await http("GET", "/api/auth/user", undefined, apiKey)).status).toBe(200);
    await refused(http("GET", "/api/nothing", undefined, apiKey));
  });

  it("of WebSocket clients", async () => {
    const ends = async (path: string, ...messages: string[]) => {
      const socket = new WebSocket(target.http.replace(/^http/, "ws") + path);
      const ended = new Promise<void>((resolve) => socket.once("close", resolve).once("error", () => resolve()));
      socket.on("message", (data) => keep(`ws: ${data}`)).on("close", (_code, why) => keep(`ws closed: ${why}`));
      socket.once("open", () => {
        for (const message of messages) socket.send(message);
      });
      await Promise.race([ended, pause(1_000)]);
      socket.terminate();
    };
    await ends("/api/ws", JSON.stringify({ authCmd: { cmdId: 0, token: plant("token of authCmd") } }));
    await ends("/api/ws", `{"authCmd":{"cmdId":0,"token":"${plant("token of a cut authCmd")}"`);
    await ends("/api/ws", JSON.stringify({ authCmd: { cmdId: "x", token: [plant("token of an odd authCmd")] } }));
    await ends(`/api/ws/plugins/telemetry?token=${plant("token in the address")}`);
    await ends(`/api/ws/plugins/telemetry?token=${tenant.rest.token}`, "{", `{"tsSubCmds":5}`);
  });

  it("of devices, as operators save them", async () => {
    const save = (credentials: object) =>
      asTenant("POST", "/api/device-with-credentials", { device: { name: `canary ${Math.random()}` }, credentials });
    const token = plant("token");
    expect((await save({ credentialsType: "ACCESS_TOKEN", credentialsId: token })).status).toBe(200);
    await refused(save({ credentialsType: "ACCESS_TOKEN", credentialsId: token }));
    await refused(asTenant("POST", `/api/device?accessToken=${token}`, { name: "canary twice" }));
    await refused(save({ credentialsType: "ACCESS_TOKEN", credentialsId: token.repeat(100) }));
    await refused(save({ credentialsType: "NONE", credentialsId: plant("token of no kind") }));
    const password = plant("MQTT password");
    const basic = (value: string) => save({ credentialsType: "MQTT_BASIC", credentialsValue: value });
    await refused(basic(JSON.stringify({ clientId: "c", password })));
    await refused(basic(`{"userName":"u","password":"${password}"`));
    await refused(basic(JSON.stringify({ userName: { password }, password: [password] })));
    const key = plant("private key");
    const pem = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----`;
    // Any text may be a certificate to the reference; this one is kept as what it is.
    expect((await save({ credentialsType: "X509_CERTIFICATE", credentialsValue: pem })).status).toBe(200);
    const profile = (provisionType: string, secret: string) =>
      asTenant("POST", "/api/deviceProfile", {
        name: `canary ${Math.random()}`,
        type: "DEFAULT",
        transportType: "DEFAULT",
        provisionType,
        provisionDeviceKey: plant("key of a profile"),
        profileData: {
          configuration: { type: "DEFAULT" },
          transportConfiguration: { type: "DEFAULT" },
          provisionConfiguration: { type: provisionType, provisionDeviceSecret: secret },
        },
      });
    await refused(profile("X509_CERTIFICATE_CHAIN", pem));
    await refused(profile("NONE", plant("secret of a profile of no kind")));
    expect((await profile("ALLOW_CREATE_NEW_DEVICES", plant("secret of a profile"))).status).toBe(200);
  });

  /** Provisioning requests that are refused, and some that cannot be read. */
  const requests = (proof: { key: string; secret: string }) => {
    const wrong = { provisionDeviceKey: proof.key, provisionDeviceSecret: plant("wrong provision secret") };
    const right = { provisionDeviceKey: proof.key, provisionDeviceSecret: proof.secret };
    const text = JSON.stringify({ ...right, token: plant("chosen token") });
    return [JSON.stringify(wrong), text.slice(0, -1), JSON.stringify({ ...right, deviceName: { a: proof.secret } })];
  };
  async function provisioned() {
    const proof = { key: plant("provision key"), secret: plant("provision secret") };
    const provision = { type: "ALLOW_CREATE_NEW_DEVICES", provisionDeviceSecret: proof.secret };
    await tenant.profile({ provision, provisionKey: proof.key });
    return { ...proof, ask: { provisionDeviceKey: proof.key, provisionDeviceSecret: proof.secret } };
  }
  const claims = () => {
    const secretKey = plant("claim secret");
    return [
      `{"secretKey":"${secretKey}","durationMs":"${secretKey}"}`,
      `{"secretKey":"${secretKey}"`,
      `{"secretKey":{"a":"${secretKey}"}}`,
      `{"secretKey":"${secretKey}","durationMs":60000}`,
    ];
  };

  it("of devices over HTTP", async () => {
    const { token, name } = await tenant.device();
    const wrong = plant("wrong token");
    const mangled = `{"a":${wrong}`;
    for (const path of ["telemetry", "attributes", "rpc", "rpc/x", "nothing"]) {
      await refused(http("POST", `/api/v1/${token}/${path}`, mangled));
    }
    await refused(http("GET", `/api/v1/${token}/rpc?timeout=${wrong}`));
    await refused(http("GET", `/api/v1/${token}/firmware?title=${wrong}&version=1`));
    // Each of them waits longer than the one before.
    for (const way of [wrong, `${wrong}%00`, wrong.repeat(500)]) {
      await refused(http("POST", `/api/v1/${way}/telemetry`, mangled));
    }
    for (const claim of claims()) await http("POST", `/api/v1/${token}/claim`, claim);
    await refused(asTenant("POST", `/api/customer/device/${name}/claim`, { secretKey: plant("wrong claim secret") }));
    const proof = await provisioned();
    for (const request of requests(proof)) await http("POST", "/api/v1/provision", request);
    expect((await http("POST", "/api/v1/provision", proof.ask)).text).toContain("SUCCESS");
  });

  /** Says all it is given, and hears what it is told until it is closed or silent. */
  async function mqtt(level: 4 | 5, ...packets: object[]) {
    const peer = new MqttPeer(target.mqtt, level);
    peer.send(...packets);
    await Promise.race([peer.closed(500).catch(() => {}), pause(500)]);
    keep(`mqtt: ${Buffer.concat(peer.bytes).toString("latin1")}`);
    peer.destroy();
  }
  const say = (topic: string, payload: string) => ({ cmd: "publish", topic, payload, qos: 1, messageId: 1 });

  it("of devices over MQTT", async () => {
    const { token } = await tenant.device();
    const gateway = await tenant.gateway();
    const proof = await provisioned();
    const password = Buffer.from(plant("wrong MQTT password"));
    const value = { userName: `canary ${token}`, password: plant("right MQTT password") };
    await tenant.device({ credentials: { credentialsType: "MQTT_BASIC", credentialsValue: JSON.stringify(value) } });
    const wrong = plant("wrong token over MQTT");
    const both = ([4, 5] as const).flatMap((level) => {
      const on = (...packets: object[]) => mqtt(level, ...packets);
      const as = (username: string) => connectPacket(level, { username });
      const mangled = mqttPacket.generate(as(wrong) as Packet, { protocolVersion: level });
      return [
        on(as(wrong)),
        on(connectPacket(level, { username: value.userName, password })),
        on(connectPacket(level, { username: value.userName, password: Buffer.from(value.password) })),
        ...claims().map((claim) => on(as(token), say("v1/devices/me/claim", claim))),
        ...claims().map((claim) => on(as(gateway.token), say("v1/gateway/claim", `{"a":${claim}}`))),
        on(as(token), say(`v1/${wrong}/telemetry`, "{}"), say("v1/devices/me/telemetry", `{"a":${wrong}`)),
        on(as(token), { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: `${wrong}/#`, qos: 1 }] }),
        on(as("provision"), say("/provision/request", JSON.stringify(proof.ask)), say("foo", wrong)),
        ...requests(proof).map((request) => on(as("provision"), say("/provision/request", request))),
        raw(target.mqtt, mangled.subarray(0, -3)),
        raw(target.mqtt, Buffer.concat([mangled.subarray(0, -1), Buffer.from([0xff]), mangled])),
      ];
    });
    await Promise.all(both);
  });

  async function raw(port: number, bytes: Buffer) {
    const socket = connect(port, "127.0.0.1");
    socket.on("data", (data) => keep(`raw: ${data.toString("latin1")}`)).on("error", () => {});
    socket.write(bytes);
    await pause(300);
    socket.destroy();
  }

  it("of devices over CoAP", async () => {
    const { token } = await tenant.device();
    const proof = await provisioned();
    const wrong = plant("wrong token over CoAP");
    const peer = await CoapPeer.open(target.coap);
    let asked = 0;
    const ask = (method: string, path: string, payload = "") => {
      asked++;
      peer.request(method, path, { token: Buffer.from([asked]), payload: Buffer.from(payload) });
    };
    for (const way of [token, wrong]) {
      ask("POST", `api/v1/${way}/telemetry`, `{"a":${wrong}`);
      ask("POST", `api/v1/${way}/rpc`, `{"method":{"a":"${wrong}"}}`);
      ask("PUT", `api/v1/${way}/attributes`, wrong);
      ask("GET", `api/v1/${way}/nothing?a=${wrong}`);
      ask("GET", `fw/${way}?title=${wrong}`);
    }
    await eventually(
      () => peer.received.length,
      (count) => count >= asked,
    );
    for (const claim of claims()) ask("POST", `api/v1/${token}/claim`, claim);
    for (const request of requests(proof)) ask("POST", "api/v1/provision", request);
    await eventually(
      () => peer.received.length,
      (count) => count >= asked,
    );
    for (const { payload } of peer.received) keep(`coap: ${payload.toString()}`);
    peer.raw(Buffer.concat([Buffer.from([0x40, 0x02, 0x12, 0x34, 0xbd]), Buffer.from(wrong)]));
    peer.close();
  });

  it("are told to nobody", async () => {
    expect(refusals.length).toBeGreaterThan(80);
    expect(target.secretsIn(refusals.join("\n"))).toEqual([]);
    expect(target.secretsIn((await http("GET", "/metrics")).text)).toEqual([]);
    const rules = await eventually(
      () => target.witnessedText,
      (text) => text.includes("PROVISION_SUCCESS"),
    );
    expect(target.secretsIn(rules)).toEqual([]);
    const planted = plant("planted in a log");
    expect(target.secretsIn(`${target.log}\n${planted}`)).toEqual(["planted in a log: ***"]);
    expect(target.log).toContain('"level":"debug"');
  });
});
