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
  const open = () => new DrivenClient(python, [driverOf("tb_gateway_client.py"), "127.0.0.1", String(target.mqtt)]);

  it("the gateway SDK: devices, their telemetry, attributes both ways, a call", { timeout: 60_000 }, async () => {
    const { token } = await tenant.gateway();
    await using sdk = open();
    await sdk.call("connect", token);
    const name = `Meter ${token}`;
    expect(await sdk.call("connect_device", name, `meter ${token}`)).toBe(0);
    const device = await tenant.deviceByName(name);
    expect(device.type).toBe(`meter ${token}`);
    const id = device.id.id;

    expect(await sdk.call("telemetry", name, [{ ts: 1_700_000_000_000, values: { kwh: 12.5 } }, { rssi: -60 }])).toBe(
      0,
    );
    expect(await sdk.call("attributes", name, { serial: "A1" })).toBe(0);
    await eventually(
      async () => [await tenant.latest(id), await tenant.attributes(id, "CLIENT_SCOPE")] as const,
      ([{ kwh, rssi }, { serial }]) =>
        kwh?.value === 12.5 && kwh.ts === 1_700_000_000_000 && rssi?.value === -60 && serial === "A1",
    );
    await tenant.saveAttributes(id, "SHARED_SCOPE", { interval: 30 });
    expect(await sdk.event("attributes")).toEqual({ device: name, data: { interval: 30 } });
    expect(await sdk.call("ask_shared", name, ["interval"])).toEqual({ id: 1, device: name, value: 30 });
    expect(await sdk.call("ask_client", name, ["serial", "nothing"])).toEqual({
      id: 2,
      device: name,
      values: { serial: "A1" },
    });

    const call = { method: "reset", params: { now: true }, timeout: 10_000 };
    const answered = tenant.rest.call("POST", `/api/rpc/twoway/${id}`, call);
    const asked = await sdk.event("call");
    expect(asked).toEqual({ device: name, data: { id: asked.data.id, method: "reset", params: { now: true } } });
    await sdk.call("reply", name, asked.data.id, { done: 1 });
    expect(await answered).toEqual({ status: 200, body: { done: 1 } });

    // A device that nobody has announced.
    expect(await sdk.call("telemetry", `Other ${token}`, { x: 1 })).toBe(0);
    expect((await tenant.deviceByName(`Other ${token}`)).type).toBe("default");
    expect(await sdk.call("disconnect_device", name)).toBe(0);
    await sdk.call("disconnect");
  });

  it("the device SDK provisions itself", { timeout: 60_000 }, async () => {
    const key = `key-${performance.now()}`;
    await tenant.profile({
      provision: { type: "ALLOW_CREATE_NEW_DEVICES", provisionDeviceSecret: "secret" },
      provisionKey: key,
    });
    await using sdk = open();
    const name = `Pump ${performance.now()}`;
    const credentials = await sdk.call("provision", name, key, "secret");
    expect(credentials).toMatchObject({ status: "SUCCESS", credentialsType: "ACCESS_TOKEN" });
    expect((await tenant.deviceByName(name)).name).toBe(name);
    expect(await sdk.call("provision", name, key, "wrong")).toBeNull();
  });
});
