import { afterAll, beforeAll, describe, expect } from "vitest";
import { MqttDevice } from "./mqtt.ts";
import { row } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, pause, type TestDevice, TestTenant } from "./tenant.ts";

describe("device-api 9.1, value typing over MQTT and HTTP", () => {
  let target: Target;
  let tenant: TestTenant;
  let device: TestDevice;
  let overMqtt: MqttDevice;
  beforeAll(async () => {
    target = await Target.start();
    tenant = await TestTenant.create(target);
    device = await tenant.device();
    overMqtt = await MqttDevice.connect(target, { username: device.token, level: 5 });
  }, 120_000);
  afterAll(async () => {
    overMqtt?.destroy();
    await target?.[Symbol.asyncDispose]();
  });

  const post = (text: string) =>
    fetch(`${target.http}/api/v1/${device.token}/telemetry`, { method: "POST", body: text });

  /** Sends the document over each protocol, and a value behind it that tells when everything before is stored. */
  async function sent(text: string, keys: readonly string[]): Promise<Record<string, unknown>[]> {
    const results: Record<string, unknown>[] = [];
    const ways = [
      async (json: string) => expect(await overMqtt.say("v1/devices/me/telemetry", json)).toBe(0),
      async (json: string) => expect((await post(json)).status).toBe(200),
    ];
    for (const say of ways) {
      const path = `/api/plugins/telemetry/DEVICE/${device.id}/timeseries/delete`;
      const all = (await tenant.rest.get(`/api/plugins/telemetry/DEVICE/${device.id}/keys/timeseries`)) as string[];
      if (all.length > 0) {
        await tenant.rest.delete(`${path}?keys=${all.map(encodeURIComponent).join(",")}&deleteAllDataForKeys=true`);
      }
      await say(text);
      await say('{"behind":true}');
      await eventually(
        () => tenant.latest(device.id, ["behind"]),
        ({ behind }) => behind?.value === true,
      );
      const found = await tenant.latest(device.id);
      results.push(Object.fromEntries(keys.filter((key) => key in found).map((key) => [key, found[key]?.value])));
    }
    return results;
  }

  async function stores(text: string, values: Record<string, unknown>): Promise<void> {
    for (const found of await sent(text, ["a", "b", "c", "d", "temperature", "a b.c/d"])) expect(found).toEqual(values);
  }

  /** The text of the answer: beyond 2^53, and for 25 against 25.0, a parsed number says too little. */
  async function storesText(text: string, key: string, value: string): Promise<void> {
    await sent(text, [key]);
    const path = `/api/plugins/telemetry/DEVICE/${device.id}/values/timeseries?keys=${key}&useStrictDataTypes=true`;
    const answer = await fetch(target.http + path, { headers: { "x-authorization": `Bearer ${tenant.rest.token}` } });
    expect(/"value":(.*?)\}/.exec(await answer.text())?.[1]).toBe(value);
  }

  async function malformed(text: string): Promise<void> {
    expect(await overMqtt.say("v1/devices/me/telemetry", text)).toBe(0x99);
    expect(await overMqtt.stays()).toBe(true);
    expect((await post(text)).status).toBe(500);
    await pause(100);
    expect((await tenant.latest(device.id))["a"]?.value ?? null).not.toBe(77);
  }

  row("JSON-01", "an integer is a LONG", () => storesText('{"a":25}', "a", "25"));
  row("JSON-02", "a fraction is a DOUBLE", () => storesText('{"a":25.5}', "a", "25.5"));
  row("JSON-03", "25.0 stays a DOUBLE", () => storesText('{"a":25.0}', "a", "25.0"));
  row("JSON-04", "digits in a text are a LONG", () => storesText('{"a":"25"}', "a", "25"));
  row("JSON-05", "a decimal in a text is a DOUBLE", () => storesText('{"a":"25.10"}', "a", "25.1"));
  row("JSON-06", "leading zeros go", () => storesText('{"a":"0012"}', "a", "12"));
  row("JSON-07", "integral exponents are LONGs", () => stores('{"a":1e3,"b":1.5e3}', { a: 1000, b: 1500 }));
  row("JSON-08", "what only looks like a number is a STRING", () =>
    stores('{"a":"1e5","b":"+5","c":"5.","d":""}', { a: "1e5", b: "+5", c: "5.", d: "" }),
  );
  row("JSON-09", "BOOLEAN and the text of one", () => stores('{"a":true,"b":"true"}', { a: true, b: "true" }));
  row("JSON-10", "objects and arrays are JSON", () =>
    stores('{"a":{"x":[1,2]},"b":[1]}', { a: { x: [1, 2] }, b: [1] }),
  );
  row("JSON-11", "null is dropped", () => stores('{"a":null,"b":1}', { b: 1 }));
  row("JSON-12", "the largest LONG, to the digit", () =>
    storesText('{"a":9223372036854775807}', "a", "9223372036854775807"),
  );
  row("JSON-13", "beyond it a STRING", () => storesText('{"a":9223372036854775808}', "a", '"9223372036854775808"'));
  row("JSON-14", "more fraction digits than a DOUBLE keeps: a STRING", () =>
    storesText('{"a":0.30000000000000004}', "a", '"0.30000000000000004"'),
  );
  row("JSON-15", "unquoted names", () => stores("{temperature:25}", { temperature: 25 }));
  row("JSON-16", "single quotes", () => stores("{'a':'b'}", { a: "b" }));
  row("JSON-17", "unquoted values", () => stores("{a:eco}", { a: "eco" }));
  row("JSON-18", "the last of equal names", () => stores('{"a":1,"a":2}', { a: 2 }));
  row("JSON-19", "a trailing comma is malformed", () => malformed('{"a":77,}'));
  row("JSON-20", "text behind the document is malformed", () => malformed('{"a":77}garbage'));
  row("JSON-21", "a cut document is malformed", () => malformed('{"a":77'));
  row("JSON-22", "comments and capital literals", () => stores('{"a":1 /* c */, // d\n"b":TRUE}', { a: 1, b: true }));
  row("JSON-23", "NaN is a STRING", () => stores('{"a":NaN}', { a: "NaN" }));
  row("JSON-24", "a byte-order mark is skipped", () => stores('\ufeff{"a":1}', { a: 1 }));
  row("JSON-25", "UTF-8 text", () => stores('{"a":"текст €"}', { a: "текст €" }));
  row("JSON-26", "negative numbers", () => stores('{"a":-0.5,"b":"-5"}', { a: -0.5, b: -5 }));
  row("JSON-27", "names are kept as they are", () => stores('{"a b.c/d":1}', { "a b.c/d": 1 }));
});
