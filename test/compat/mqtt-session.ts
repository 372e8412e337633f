import { expect } from "vitest";
import type { Target } from "../conformance/target.ts";
import { eventually, type TestTenant } from "../conformance/tenant.ts";

export interface Heard {
  readonly topic: string;
  readonly text: string;
  readonly qos: number;
}

/** What a session asks of a client; each maker's API does it in its own way. */
export interface MqttClient extends AsyncDisposable {
  /** The return or reason code of the CONNACK, or another number above 0 for a refusal. */
  connect(username: string): Promise<number>;
  /** The granted codes, by filter. */
  subscribe(filters: readonly string[]): Promise<readonly number[]>;
  /** Resolves when acknowledged as its QoS says. */
  publish(topic: string, text: string, qos: 0 | 1 | 2): Promise<void>;
  /** The next message that no call has returned before. */
  heard(): Promise<Heard>;
  disconnect(): Promise<void>;
}

const attributes = "v1/devices/me/attributes";
const calls = "v1/devices/me/rpc";

/** What a device does in its life: telemetry, attributes both ways, calls both ways, and leaving. */
export async function mqttSession(
  { target, tenant }: { readonly target: Target; readonly tenant: TestTenant },
  open: (port: number) => MqttClient,
): Promise<void> {
  const { id, token } = await tenant.device();
  {
    await using stranger = open(target.mqtt);
    expect(await stranger.connect("NOBODY")).toBeGreaterThan(0);
  }
  await using client = open(target.mqtt);
  expect(await client.connect(token)).toBe(0);
  const filters = [attributes, `${attributes}/response/+`, `${calls}/request/+`, `${calls}/response/+`, "#"];
  const granted = await client.subscribe(filters);
  expect(granted.slice(0, 4)).toEqual([1, 1, 1, 1]);
  expect(granted[4]).toBeGreaterThanOrEqual(0x80);

  for (const qos of [0, 1, 2] as const) await client.publish("v1/devices/me/telemetry", `{"q${qos}":${qos}.5}`, qos);
  await eventually(
    () => tenant.latest(id),
    ({ q0, q1, q2 }) => q0?.value === 0.5 && q1?.value === 1.5 && q2?.value === 2.5,
  );

  await client.publish(attributes, '{"serial":"A1"}', 1);
  await eventually(
    () => tenant.attributes(id, "CLIENT_SCOPE"),
    ({ serial }) => serial === "A1",
  );
  await tenant.saveAttributes(id, "SHARED_SCOPE", { interval: 30 });
  expect(await client.heard()).toEqual({ topic: attributes, text: '{"interval":30}', qos: 1 });
  await client.publish(`${attributes}/request/7`, '{"clientKeys":"serial","sharedKeys":"interval"}', 1);
  const { topic, text } = await client.heard();
  expect([topic, JSON.parse(text)]).toEqual([
    `${attributes}/response/7`,
    { client: { serial: "A1" }, shared: { interval: 30 } },
  ]);

  const call = { method: "setRelay", params: { on: true }, timeout: 10_000 };
  const answered = tenant.rest.call("POST", `/api/rpc/twoway/${id}`, call);
  const asked = await client.heard();
  expect(JSON.parse(asked.text)).toEqual({ method: "setRelay", params: { on: true } });
  await client.publish(asked.topic.replace("/request/", "/response/"), '{"done":1}', 1);
  expect(await answered).toEqual({ status: 200, body: { done: 1 } });

  await client.publish(`${calls}/request/1`, '{"method":"getSessionLimits","params":{"timeout":5000}}', 1);
  const limits = await client.heard();
  expect(limits.topic).toBe(`${calls}/response/1`);
  expect(JSON.parse(limits.text)).toMatchObject({ maxPayloadSize: 65_536, maxInflightMessages: 100 });
  await client.disconnect();
}
