import { afterAll, beforeAll, describe, expect } from "vitest";
import { MqttDevice } from "./mqtt.ts";
import { type Level, row, rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, pause, TestTenant } from "./tenant.ts";

describe.concurrent("device-api 9.5, claiming and provisioning over MQTT", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start({ set: { "plugins.mqtt.config.provisionLinger": "1s" } });
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  const topic = "v1/devices/me/claim";
  async function claimable(payload: string | undefined, level: Level = 5) {
    const device = await tenant.device();
    using peer = await MqttDevice.connect(target, { level, username: device.token });
    if (payload !== undefined) expect(await peer.say(topic, payload)).toBe(0);
    const { rest, id: customerId } = await tenant.customer();
    const claim = (body: object) =>
      rest.call("POST", `/api/customer/device/${encodeURIComponent(device.name)}/claim`, body);
    return { ...device, customerId, claim };
  }

  rowOnBoth("MQTT-CLM-01", "a user who knows the key gets the device", async (level) => {
    const { claim, id, customerId } = await claimable('{"secretKey":"k","durationMs":60000}', level);
    const { status, body } = await claim({ secretKey: "k" });
    expect([status, body.response, body.device.customerId.id]).toEqual([200, "SUCCESS", customerId]);
    expect((await tenant.rest.get(`/api/device/${id}`)).customerId.id).toBe(customerId);
    expect(await claim({ secretKey: "k" })).toEqual({ status: 400, body: "CLAIMED" });
  });

  row("MQTT-CLM-02", "a wrong key ends the offer", async () => {
    const { claim } = await claimable('{"secretKey":"k","durationMs":60000}');
    expect(await claim({ secretKey: "x" })).toEqual({ status: 400, body: "FAILURE" });
    expect(await claim({ secretKey: "k" })).toEqual({ status: 400, body: "FAILURE" });
  });

  row("MQTT-CLM-03", "an empty payload is an empty key", async () => {
    const { claim } = await claimable("");
    expect((await claim({ secretKey: "" })).status).toBe(200);
  });

  row("MQTT-CLM-05", "a second offer does not replace the first", async () => {
    const device = await claimable('{"secretKey":"first","durationMs":60000}');
    using peer = await MqttDevice.connect(target, { username: device.token });
    await peer.say(topic, '{"secretKey":"second","durationMs":60000}');
    expect((await device.claim({ secretKey: "first" })).status).toBe(200);
  });

  row("MQTT-CLM-06", "an offer ends with its time", async () => {
    const { claim } = await claimable('{"secretKey":"k","durationMs":50}');
    await pause(200);
    expect(await claim({ secretKey: "k" })).toEqual({ status: 400, body: "FAILURE" });
  });

  let keys = 0;
  async function profile(type: string) {
    const [key, secret] = [`key-${Date.now()}-${++keys}`, `secret-${keys}`];
    const id = await tenant.profile({ provision: { type, provisionDeviceSecret: secret }, provisionKey: key });
    return { id, ask: { provisionDeviceKey: key, provisionDeviceSecret: secret } };
  }
  async function provision(request: object, level: Level = 5, who: object = { username: "provision" }) {
    using peer = await MqttDevice.connect(target, { level, ...who });
    expect(await peer.say("/provision/request", JSON.stringify(request))).toBe(0);
    const { topic: answered, text } = await peer.hear();
    expect(answered).toBe("/provision/response");
    return JSON.parse(text);
  }
  const unique = (name: string) => `${name} ${Date.now()} ${++keys}`;

  rowOnBoth("MQTT-PRV-01", "a device is made, with credentials that connect", async (level) => {
    const { ask, id } = await profile("ALLOW_CREATE_NEW_DEVICES");
    const deviceName = unique("p1");
    const reply = await provision({ deviceName, ...ask }, level);
    expect(reply).toMatchObject({ status: "SUCCESS", credentialsType: "ACCESS_TOKEN" });
    const made = await tenant.deviceByName(deviceName);
    expect(made.deviceProfileId.id).toBe(id);
    expect(await tenant.attributes(made.id.id, "SERVER_SCOPE")).toMatchObject({ provisionState: "provisioned" });
    using peer = await MqttDevice.connect(target, { level, username: reply.credentialsValue });
    expect(await peer.stays()).toBe(true);
    await eventually(
      () => tenant.eventsOf(made.id.id),
      (types) => types.includes("PROVISION_SUCCESS"),
    );
  });

  row("MQTT-PRV-02", "by client id as well, without any subscription", async () => {
    const { ask } = await profile("ALLOW_CREATE_NEW_DEVICES");
    expect((await provision({ deviceName: unique("p2"), ...ask }, 4, { clientId: "provision" })).status).toBe(
      "SUCCESS",
    );
  });

  row("MQTT-PRV-03", "the same name again fails", async () => {
    const { ask } = await profile("ALLOW_CREATE_NEW_DEVICES");
    const deviceName = unique("p3");
    await provision({ deviceName, ...ask });
    expect(await provision({ deviceName, ...ask })).toEqual({
      errorMsg: "Failed to provision device!",
      status: "FAILURE",
    });
  });

  row("MQTT-PRV-04", "an unknown key, or a wrong secret, is not found", async () => {
    const { ask } = await profile("ALLOW_CREATE_NEW_DEVICES");
    for (const wrong of [{ provisionDeviceKey: "nobody" }, { provisionDeviceSecret: "wrong" }]) {
      expect(await provision({ deviceName: unique("p4"), ...ask, ...wrong })).toMatchObject({ status: "NOT_FOUND" });
    }
  });

  row("MQTT-PRV-05", "a device that is there gets its own credentials", async () => {
    const { ask, id } = await profile("CHECK_PRE_PROVISIONED_DEVICES");
    const device = await tenant.device({ profileId: id });
    const request = { deviceName: device.name, token: "wanted", ...ask };
    expect(await provision(request)).toMatchObject({ status: "SUCCESS", credentialsValue: device.token });
  });

  row("MQTT-PRV-06", "but only once", async () => {
    const { ask, id } = await profile("CHECK_PRE_PROVISIONED_DEVICES");
    const { name: deviceName } = await tenant.device({ profileId: id });
    await provision({ deviceName, ...ask });
    expect((await provision({ deviceName, ...ask })).status).toBe("FAILURE");
  });

  row("MQTT-PRV-07", "without a name one of twenty letters and digits is drawn", async () => {
    const { ask, id } = await profile("ALLOW_CREATE_NEW_DEVICES");
    await provision(ask);
    const page = await tenant.rest.get(`/api/tenant/deviceInfos?pageSize=1&page=0&deviceProfileId=${id}`);
    expect(page.data[0].name).toMatch(/^[A-Za-z0-9]{20}$/);
  });

  row("MQTT-PRV-08", "basic credentials, which connect", async () => {
    const { ask } = await profile("ALLOW_CREATE_NEW_DEVICES");
    const [clientId, username] = [unique("c"), unique("u")];
    const request = {
      deviceName: unique("p8"),
      credentialsType: "MQTT_BASIC",
      clientId,
      username,
      password: "p",
      ...ask,
    };
    const { credentialsValue } = await provision(request);
    expect(credentialsValue).toEqual({ clientId, userName: username, password: "p" });
    using peer = await MqttDevice.connect(target, { clientId, username, password: Buffer.from("p") });
    expect(await peer.stays()).toBe(true);
  });

  row("MQTT-PRV-10", "a gateway", async () => {
    const { ask } = await profile("ALLOW_CREATE_NEW_DEVICES");
    const deviceName = unique("p10");
    await provision({ deviceName, gateway: true, ...ask });
    expect((await tenant.deviceByName(deviceName)).additionalInfo).toMatchObject({ gateway: true });
  });

  rowOnBoth("MQTT-PRV-11", "telemetry in such a session is unknown, and ends it", async (level) => {
    using peer = await MqttDevice.connect(target, { level, username: "provision" });
    expect(await peer.say("v1/devices/me/telemetry", '{"a":1}')).toBe(level === 5 ? 0x90 : 0);
    await peer.closed();
  });

  rowOnBoth("MQTT-PRV-12", "other topics cannot be subscribed", async (level) => {
    using peer = await MqttDevice.connect(target, { level, username: "provision" });
    expect(await peer.subscribe("/provision/response", "v1/devices/me/attributes")).toEqual([
      1,
      level === 5 ? 0x8f : 0x80,
    ]);
  });

  rowOnBoth("MQTT-PRV-13", "some time after the reply the server closes the connection", async (level) => {
    const { ask } = await profile("ALLOW_CREATE_NEW_DEVICES");
    using peer = await MqttDevice.connect(target, { level, username: "provision" });
    await peer.say("/provision/request", JSON.stringify(ask));
    await peer.hear();
    await peer.closed(5_000);
    expect(peer.packets).toEqual([]);
  });

  row("MQTT-PRV-14", "a chosen token that somebody has fails, and leaves no device behind", async () => {
    const { ask } = await profile("ALLOW_CREATE_NEW_DEVICES");
    const { token } = await tenant.device();
    const deviceName = unique("p14");
    expect((await provision({ deviceName, token, ...ask })).status).toBe("FAILURE");
    const path = `/api/tenant/devices?deviceName=${encodeURIComponent(deviceName)}`;
    expect((await tenant.rest.call("GET", path)).status).toBe(404);
  });
});

describe("device-api 9.5, claiming where it is not allowed", () => {
  row("MQTT-CLM-04", "a claim is acknowledged and does not help; the device's attribute allows it", async () => {
    await using target = await Target.start({ set: { "plugins.onboarding.config.claiming.allowByDefault": "false" } });
    const tenant = await TestTenant.create(target);
    const { rest } = await tenant.customer();
    for (const allowed of [false, true]) {
      const { id, name, token } = await tenant.device();
      if (allowed) await tenant.saveAttributes(id, "SERVER_SCOPE", { claimingAllowed: true });
      using peer = await MqttDevice.connect(target, { username: token });
      await peer.say("v1/devices/me/claim", '{"secretKey":"k"}');
      const { status } = await rest.call("POST", `/api/customer/device/${encodeURIComponent(name)}/claim`, {
        secretKey: "k",
      });
      expect(status).toBe(allowed ? 200 : 400);
    }
  });
});
