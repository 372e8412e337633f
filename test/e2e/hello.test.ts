import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Live } from "./live.ts";
import { onPath } from "./on-path.ts";
import { RestClient } from "./rest-client.ts";
import { Server } from "./server.ts";

const run = promisify(execFile);
const liveMs = 300;
const device = "Test Device A1";
const token = "A1_TEST_TOKEN";

let server: Server;
let rest: RestClient;
let id: string;

beforeAll(async () => {
  server = await Server.start();
  rest = await RestClient.signIn(server.http);
  id = await rest.deviceId(device);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const latest = async (key: string) =>
  (await rest.get(`/api/plugins/telemetry/DEVICE/${id}/values/timeseries?keys=${key}`))[key][0].value as string;

/** Runs a command and sees its value on an open WebSocket within 300 ms of its end, and in REST. */
async function arrives(value: string, command: () => Promise<unknown>): Promise<void> {
  using live = await Live.watch(server.http, rest.token, id);
  const sent = command();
  const frame = live.next(({ data }) => data?.temperature?.[0]?.[1] === value, 5_000);
  await sent;
  const since = performance.now();
  await frame;
  expect(performance.now() - since).toBeLessThan(liveMs);
  expect(await latest("temperature")).toBe(value);
}

describeNeeding("curl", onPath("curl"), () => {
  it("the tutorial's HTTP command stores and shows a value", async () => {
    await arrives("25", () =>
      run("curl", [
        "-v",
        "-X",
        "POST",
        "--data",
        "{temperature:25}",
        `${server.http}/api/v1/${token}/telemetry`,
        "--header",
        "Content-Type:application/json",
      ]),
    );
  });
});

describeNeeding("mosquitto", onPath("mosquitto_pub"), () => {
  const at = () => ["-h", "127.0.0.1", "-p", String(server.port("MQTT")), "-u", token];

  it("the tutorial's MQTT command stores and shows a value", async () => {
    await arrives("26", () =>
      run("mosquitto_pub", ["-d", "-q", "1", ...at(), "-t", "v1/devices/me/telemetry", "-m", "{temperature:26}"]),
    );
  });

  it("a call from REST reaches mosquitto_sub, and its answer returns", async () => {
    const topic = "v1/devices/me/rpc/request/+";
    const heard = run("mosquitto_sub", [...at(), "-q", "1", "-t", topic, "-C", "1", "-F", "%t %p"]);
    const call = rest.call("POST", `/api/rpc/twoway/${id}`, { method: "getValue", params: { pin: 7 }, timeout: 5_000 });
    const { stdout } = await heard;
    const [, requestId, payload] = /rpc\/request\/(\d+) (.*)/.exec(stdout) ?? [];
    expect(JSON.parse(payload ?? "")).toEqual({ method: "getValue", params: { pin: 7 } });
    await run("mosquitto_pub", [
      "-q",
      "1",
      ...at(),
      "-t",
      `v1/devices/me/rpc/response/${requestId}`,
      "-m",
      '{"value":42}',
    ]);
    expect(await call).toEqual({ status: 200, body: { value: 42 } });
  });
});

describeNeeding("libcoap", onPath("coap-client-notls"), () => {
  it("the tutorial's CoAP command stores and shows a value", async () => {
    const uri = `coap://127.0.0.1:${server.port("CoAP")}/api/v1/${token}/telemetry`;
    await arrives("27", () =>
      run("coap-client-notls", ["-v", "6", "-m", "POST", uri, "-t", "json", "-e", "{temperature:27}"]),
    );
  });
});

describe("the running server", () => {
  it("says what it is and how it is", async () => {
    const titles = server.ready.notes.map(({ title }) => title);
    expect(titles).toEqual(expect.arrayContaining(["HTTP", "MQTT", "CoAP"]));
    const health = await fetch(`${server.http}/health/ready`);
    expect([health.status, ((await health.json()) as { ready: boolean }).ready]).toEqual([200, true]);
    expect((await fetch(`${server.http}/health/live`)).status).toBe(200);
  });

  it("counts the five actors", async () => {
    const text = await (await fetch(`${server.http}/metrics`)).text();
    for (const kind of ["app", "tenant", "device", "rule-chain", "rule-node"]) {
      const alive = new RegExp(`^heddle_actor_alive_actors\\{kind="${kind}"\\} ([1-9]\\d*)$`, "m");
      expect(text).toMatch(alive);
    }
  });

  it("keeps what it has through a stop and a start", async () => {
    await rest.call("POST", `/api/plugins/telemetry/DEVICE/${id}/timeseries/ANY`, { kept: 1 });
    const { dataDir } = server;
    await server.stop();
    server = await Server.start({ dataDir });
    rest = await RestClient.signIn(server.http);
    expect(await latest("kept")).toBe("1");
  });
});
