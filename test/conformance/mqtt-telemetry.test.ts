import { afterAll, beforeAll, describe, expect } from "vitest";
import { MqttDevice } from "./mqtt.ts";
import { rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, TestTenant } from "./tenant.ts";

describe("device-api 9.4, telemetry over MQTT", () => {
  let target: Target;
  let tenant: TestTenant;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
  }, 120_000);
  afterAll(() => target?.[Symbol.asyncDispose]());

  rowOnBoth("MQTT-TEL-01", "QoS 1 telemetry is acknowledged and stored", async (level) => {
    const { id, token } = await tenant.device();
    using device = await MqttDevice.connect(target, { level, username: token });
    expect(await device.say("v1/devices/me/telemetry", '{"t":1}')).toBe(0);
    await eventually(
      () => tenant.latest(id),
      ({ t }) => t?.value === 1,
    );
    expect(tenant.eventsOf(id)).toContain("POST_TELEMETRY_REQUEST");
  });
});
