import { execFile, execFileSync, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  LaunchOptions,
  Onboarding,
  OtaPackages,
  type ReadyNote,
  ReadyNotes,
  Sessions,
  Telemetry,
} from "@heddle/plugin-sdk";
import {
  configOf,
  describeNeeding,
  describePlugin,
  FakeOnboarding,
  FakePackages,
  realWorld,
  silentLog,
} from "@heddle/plugin-sdk/testing";
import mqtt from "mqtt";
import { describe, expect, it } from "vitest";
import { FakeSessions } from "../testing/fake-sessions.ts";
import { levels, Peer } from "../testing/peer.ts";
import { Room } from "../testing/room.ts";
import card from "./index.ts";
import { certificateHash } from "./peer-certificate.ts";

const run = promisify(execFile);

function found(program: string): string | undefined {
  try {
    return execFileSync("which", [program], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

describePlugin(card, {
  config: { host: "127.0.0.1", port: 0 },
  deps: new Map<string, unknown>([
    [Sessions.id, new FakeSessions()],
    [Onboarding.id, new FakeOnboarding()],
    [OtaPackages.id, new FakePackages()],
    [Telemetry.id, {}],
    [ReadyNotes.id, { add() {} }],
    [LaunchOptions.id, { demo: true }],
  ]),
});

it("a demo listens on 127.0.0.1 and says where; a certificate that is not there is a fault", async () => {
  const lines: string[] = [];
  const context = (config: object) => ({
    id: "mqtt",
    container: {},
    config: configOf(card, { port: 0, ...config }),
    deps: {
      world: realWorld(),
      log: silentLog,
      sessions: new FakeSessions(),
      launch: { demo: true },
      notes: { add: (note: ReadyNote) => lines.push(note.title, ...note.lines) },
    },
    metrics: new Proxy({}, { get: () => ({ record() {} }) }),
    signal: new AbortController().signal,
  });
  const plain = context({}) as never;
  await card.start!(plain);
  expect(await card.health!(plain)).toEqual({ state: "up" });
  await card.stop!(plain);
  expect(lines).toEqual(["MQTT", expect.stringMatching(/^mqtt:\/\/127\.0\.0\.1:\d+$/)]);
  const broken = context({ tls: { cert: "/nowhere.pem", key: "/nowhere.key", port: 0 } }) as never;
  await expect(card.start!(broken)).rejects.toMatchObject({ code: "mqtt.tls" });
  await card.stop!(broken);
});

describe.each(levels)("mqtt.js, level %i", (level) => {
  it("telemetry, an attribute request, a push and a call", async () => {
    await using room = await Room.open();
    room.platform.attributes = { shared: '{"interval":30}' };
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${room.port}`, {
      username: "T",
      protocolVersion: level,
      ...(level === 3 ? { protocolId: "MQIsdp", clientId: "c" } : {}),
    });
    const messages: [string, string][] = [];
    client.on("message", (topic, payload) => messages.push([topic, payload.toString()]));
    await client.subscribeAsync({
      "v1/devices/me/attributes": { qos: 1 },
      "v1/devices/me/rpc/request/+": { qos: 1 },
      "v1/devices/me/attributes/response/+": { qos: 1 },
    });
    await client.publishAsync("v1/devices/me/telemetry", '{"t":1}', { qos: 1 });
    await client.publishAsync("v1/devices/me/telemetry", '{"t":2}', { qos: 2 });
    await client.publishAsync("v1/devices/me/attributes/request/1", "{}", { qos: 1 });
    const { down, call } = room.platform.session("T");
    await down.deliverAttributes('{"k":1}', call);
    await down.deliverRpc({ requestId: 0, method: "m", params: "null", oneway: true }, call);
    await expect.poll(() => messages.length).toBe(3);
    expect(messages).toEqual([
      ["v1/devices/me/attributes/response/1", '{"shared":{"interval":30}}'],
      ["v1/devices/me/attributes", '{"k":1}'],
      ["v1/devices/me/rpc/request/0", '{"method":"m","params":null}'],
    ]);
    expect(room.texts()).toEqual(['{"t":1}', '{"t":2}']);
    await client.endAsync();
  });
});

describeNeeding("mosquitto_pub", found("mosquitto_pub"), (program) => {
  it.each(["mqttv31", "mqttv311", "mqttv5"])("publishes and subscribes with %s", async (version) => {
    await using room = await Room.open();
    const common = ["-h", "127.0.0.1", "-p", String(room.port), "-V", version, "-u", "T"];
    for (const qos of ["0", "1", "2"]) {
      await run(program, [...common, "-i", "c", "-q", qos, "-t", "v1/devices/me/telemetry", "-m", `{"q":${qos}}`]);
    }
    await expect.poll(() => room.texts()).toEqual(['{"q":0}', '{"q":1}', '{"q":2}']);
    const subscriber = spawn(program.replace("_pub", "_sub"), [
      ...common,
      "-i",
      "s",
      "-q",
      "1",
      "-C",
      "1",
      "-t",
      "v1/devices/me/attributes",
    ]);
    let out = "";
    subscriber.stdout.on("data", (text) => {
      out += text;
    });
    await expect.poll(() => room.platform.current.get("T")?.subscribed.has("attributes")).toBe(true);
    const { down, call } = room.platform.session("T");
    await down.deliverAttributes('{"interval":60}', call);
    await expect.poll(() => out).toBe('{"interval":60}\n');
  });
});

describeNeeding("openssl", found("openssl"), (openssl) => {
  async function certificate(folder: string, name: string, days: string): Promise<{ cert: string; key: string }> {
    const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
    const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    await run(openssl, [...args, "-subj", `/CN=${name}`, "-days", days, "-keyout", key, "-out", cert]);
    return { cert, key };
  }

  it("MQTT-20, CRED-16 to CRED-20: client certificates decide where there are any, tokens where not", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mqtt-tls-"));
    try {
      const server = await certificate(folder, "localhost", "2");
      const [known, unknown] = [await certificate(folder, "known", "2"), await certificate(folder, "unknown", "2")];
      await using room = await Room.open({}, server);
      const hash = certificateHash(new X509Certificate(readFileSync(known.cert)));
      expect(hash).toMatch(/^[0-9a-f]{64}$/);
      room.device("X", { hash });
      const tls = (who?: { cert: string; key: string }) => ({
        rejectUnauthorized: false,
        ...(who === undefined ? {} : { cert: readFileSync(who.cert), key: readFileSync(who.key) }),
      });
      for (const level of levels) {
        const good = new Peer(room.tlsPort, level, tls(known));
        good.connect({ username: "nonsense" });
        await good.next("connack");
        expect(await good.stays()).toBe(true);
        expect(room.platform.proofs.at(-1)).toEqual({ kind: "x509", hash });
        // Unknown; then known, but the server's clock says: expired, not valid yet.
        for (const [who, days] of [
          [unknown, 0],
          [known, 3],
          [known, -1],
        ] as const) {
          room.aheadMs = days * 86_400_000;
          const bad = new Peer(room.tlsPort, level, tls(who));
          bad.connect({ username: "T" });
          await bad.closed();
          expect(bad.hex).toBe(level === 5 ? "2003008700e0028700" : "20020005");
        }
        room.aheadMs = 0;
        const token = new Peer(room.tlsPort, level, tls());
        token.connect({ username: "T" });
        await token.next("connack");
        expect(await token.stays()).toBe(true);
        for (const peer of [good, token]) peer.destroy();
      }
      expect(room.rejected).toEqual(Array(9).fill("certificate"));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
