import { createHash, randomBytes } from "node:crypto";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Target } from "../conformance/target.ts";
import { eventually, TestTenant } from "../conformance/tenant.ts";
import { DrivenClient } from "./client-process.ts";
import { driverOf } from "./python.ts";
import { pythonWithSdk } from "./sdk.ts";

let target: Target;
let tenant: TestTenant;
beforeAll(async () => {
  target = await Target.start();
  tenant = await TestTenant.create(target);
}, 120_000);
afterAll(() => target?.[Symbol.asyncDispose]());

describeNeeding("tb-mqtt-client", pythonWithSdk(), (python) => {
  const open = () =>
    new DrivenClient(python, [driverOf("tb_sdk_client.py"), "127.0.0.1", String(target.mqtt), target.http]);
  const stored = (id: string, holds: (values: Record<string, { value: unknown }>) => boolean) =>
    eventually(() => tenant.latest(id), holds);

  it("the device SDK over MQTT: limits, telemetry, attributes, a call", { timeout: 60_000 }, async () => {
    const { id, token } = await tenant.device();
    await using sdk = open();
    // Of 65,536 it uses a share.
    expect(await sdk.call("connect", token)).toBeGreaterThan(32_768);
    expect(await sdk.call("telemetry", { temperature: 41.9, on: true })).toBe(0);
    expect(await sdk.call("telemetry", { ts: 1_700_000_000_000, values: { old: 1 } })).toBe(0);
    await stored(
      id,
      ({ temperature, on, old }) => temperature?.value === 41.9 && on?.value === true && old?.value === 1,
    );
    expect(await sdk.call("attributes", { serial: "A1" })).toBe(0);
    await tenant.saveAttributes(id, "SHARED_SCOPE", { interval: 30 });
    expect(await sdk.event("attribute")).toEqual({ interval: 30 });
    const both = { client: { serial: "A1" }, shared: { interval: 30 } };
    expect(await sdk.call("ask_attributes", ["serial"], ["interval"])).toEqual(both);

    const call = { method: "getValue", params: { pin: 7 }, timeout: 10_000 };
    const answered = tenant.rest.call("POST", `/api/rpc/twoway/${id}`, call);
    const [requestId, body] = await sdk.event("call");
    expect(body).toEqual({ method: "getValue", params: { pin: 7 } });
    await sdk.call("reply", requestId, { value: 42 });
    expect(await answered).toEqual({ status: 200, body: { value: 42 } });
    await sdk.call("disconnect");
    expect(await sdk.end()).toBe(0);
  });

  it("the device SDK over MQTT: a firmware update, piece by piece, and a claim", { timeout: 60_000 }, async () => {
    const file = randomBytes(2_500);
    const sha256 = createHash("sha256").update(file).digest("hex");
    const { id, name, token } = await tenant.device();
    await assignFirmware(id, file);
    await using sdk = open();
    await sdk.call("connect", token);
    await sdk.call("update_firmware");
    expect(await sdk.event("firmware")).toEqual(["v1.2", sha256]);
    await stored(id, ({ fw_state, current_fw_version }) => {
      return fw_state?.value === "UPDATED" && current_fw_version?.value === "v1.2";
    });
    expect(await sdk.call("claim", "a secret of the buyer", 60_000)).toBe(0);
    const { id: customerId, rest } = await tenant.customer();
    const claim = { secretKey: target.secret("claim secret", "a secret of the buyer") };
    const taken = await rest.post(`/api/customer/device/${encodeURIComponent(name)}/claim`, claim);
    expect([taken.response, taken.device.customerId.id]).toEqual(["SUCCESS", customerId]);
    await sdk.call("disconnect");
    expect(await sdk.end()).toBe(0);
  });

  async function assignFirmware(deviceId: string, file: Buffer<ArrayBuffer>): Promise<void> {
    const device = await tenant.rest.get(`/api/device/${deviceId}`);
    const info = { type: "FIRMWARE", title: "app", version: "v1.2", deviceProfileId: device.deviceProfileId };
    const { id } = await tenant.rest.post("/api/otaPackage", info);
    const form = new FormData();
    form.append("file", new Blob([file]), "app.bin");
    const answer = await fetch(`${target.http}/api/otaPackage/${id.id}?checksumAlgorithm=SHA256`, {
      method: "POST",
      headers: { "x-authorization": `Bearer ${tenant.rest.token}` },
      body: form,
    });
    expect(answer.status).toBe(200);
    await tenant.rest.post("/api/device", { ...device, firmwareId: id });
  }

  it("the device SDK over HTTP: its test of the connection, telemetry, attributes, waiting", {
    timeout: 60_000,
  }, async () => {
    const { id, token } = await tenant.device();
    await using sdk = open();
    expect(await sdk.call("http_connect", "NOBODY")).toBe(false);
    expect(await sdk.call("http_connect", token)).toBe(true);
    await sdk.call("http_telemetry", { temperature: 41.9 });
    await stored(id, ({ temperature }) => temperature?.value === 41.9);
    await sdk.call("http_attributes", { serial: "A1" });
    await eventually(
      () => sdk.call("http_ask_attributes"),
      ({ client }) => client?.serial === "A1",
    );
    await sdk.call("http_subscribe", "rpc");
    await tenant.rest.post(`/api/rpc/oneway/${id}`, { method: "reboot", params: {} });
    expect(await sdk.event("rpc")).toMatchObject({ method: "reboot", params: {} });
  });
});
