import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Target } from "../conformance/target.ts";
import { eventually, pause, TestTenant } from "../conformance/tenant.ts";
import { onPath } from "../e2e/on-path.ts";
import { ClientProcess, DrivenClient } from "./client-process.ts";
import { type Heard, type MqttClient, mqttSession } from "./mqtt-session.ts";
import { driverOf, pythonWith } from "./python.ts";

const run = promisify(execFile);

const folder = mkdtempSync(join(tmpdir(), "heddle-compat-"));
const [cert, key] = [join(folder, "server.pem"), join(folder, "server.key")];
const openssl = onPath("openssl");

/** Of the server; clients trust it as an authority of its own. */
function certificate(program: string): Record<string, string> {
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key];
  const whose = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-out", cert];
  execFileSync(program, ["req", "-x509", ...ec, ...whose], { stdio: "pipe" });
  const tls = "plugins.mqtt.config.tls";
  return { [`${tls}.cert`]: cert, [`${tls}.key`]: key, [`${tls}.port`]: "0" };
}

let target: Target;
let tenant: TestTenant;
beforeAll(async () => {
  target = await Target.start({ set: openssl === undefined ? {} : certificate(openssl) });
  tenant = await TestTenant.create(target);
}, 120_000);
afterAll(async () => {
  await target?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Its errors do not always say the code: on MQTT 5 it minds that of the DISCONNECT more. */
const refused = 0x80;

/** mqtt.js. */
class MqttJs implements MqttClient {
  readonly #port: number;
  readonly #level: 3 | 4 | 5;
  readonly #messages: Heard[] = [];
  #client: mqtt.MqttClient | undefined;

  constructor(port: number, level: 3 | 4 | 5) {
    this.#port = port;
    this.#level = level;
  }

  async connect(username: string): Promise<number> {
    const old = this.#level === 3 ? ({ protocolId: "MQIsdp", clientId: "js" } as const) : {};
    const options = { username, protocolVersion: this.#level, reconnectPeriod: 0, ...old };
    try {
      this.#client = await mqtt.connectAsync(`mqtt://127.0.0.1:${this.#port}`, options);
    } catch {
      return refused;
    }
    this.#client.on("message", (topic, payload, { qos }) => {
      this.#messages.push({ topic, text: payload.toString(), qos });
    });
    return 0;
  }

  /** It has no call that tells the codes of the packet when one of them is a refusal. */
  subscribe(filters: readonly string[]): Promise<readonly number[]> {
    return new Promise((resolve) => {
      this.#client!.once("packetreceive", (packet) => {
        if (packet.cmd === "suback") resolve(packet.granted as number[]);
      });
      this.#client!.subscribe([...filters], { qos: 1 }, () => {});
    });
  }

  async publish(topic: string, text: string, qos: 0 | 1 | 2): Promise<void> {
    await this.#client!.publishAsync(topic, text, { qos });
  }

  async heard(): Promise<Heard> {
    await eventually(
      () => this.#messages.length,
      (count) => count > 0,
    );
    return this.#messages.shift() as Heard;
  }

  async disconnect(): Promise<void> {
    await this.#client!.endAsync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.endAsync(true);
  }
}

describe.each([
  [3, "3.1"],
  [4, "3.1.1"],
  [5, "5"],
] as const)("mqtt.js, level %i", (level, version) => {
  it(`lives a device's life on MQTT ${version}`, () =>
    mqttSession({ target, tenant }, (port) => new MqttJs(port, level)));
});

/** paho-mqtt in its own process. */
class Paho extends DrivenClient implements MqttClient {
  connect(username: string): Promise<number> {
    return this.call("connect", username);
  }

  subscribe(filters: readonly string[]): Promise<readonly number[]> {
    return this.call("subscribe", filters);
  }

  publish(topic: string, text: string, qos: 0 | 1 | 2): Promise<void> {
    return this.call("publish", topic, text, qos);
  }

  async heard(): Promise<Heard> {
    const [topic, text, qos] = await this.event("message");
    return { topic, text, qos };
  }

  async disconnect(): Promise<void> {
    await this.call("disconnect");
    // Nobody else ended it before.
    expect(await this.event("disconnected")).toEqual([false, 0]);
  }
}

describeNeeding("paho", pythonWith("paho", ["paho-mqtt==2.1.0"]), (python) => {
  it.each([
    [4, "3.1.1"],
    [5, "5"],
  ] as const)("paho, level %i: a device's life on MQTT %s", (level, _version) =>
    mqttSession(
      { target, tenant },
      (port) => new Paho(python, [driverOf("paho_client.py"), "127.0.0.1", String(port), String(level)]),
    ),
  );

  describeNeeding("openssl", openssl, () => {
    it("paho: a device's life over TLS", () =>
      mqttSession(
        { target, tenant },
        () => new Paho(python, [driverOf("paho_client.py"), "127.0.0.1", String(target.mqtts), "5", cert]),
      ));
  });
});

describeNeeding("mosquitto", onPath("mosquitto_pub"), (publisher) => {
  const program = (name: string) => publisher.replace(/_pub$/, `_${name}`);
  const at = (version: string, token: string) => [
    "-h",
    "127.0.0.1",
    "-p",
    String(target.mqtt),
    "-V",
    version,
    "-i",
    "mosquitto",
    "-u",
    token,
    "-q",
    "1",
  ];

  it.each(["mqttv31", "mqttv311", "mqttv5"])("its tools are devices, %s", async (version) => {
    const { id, token } = await tenant.device();
    const publish = (topic: string, text: string) => run(publisher, [...at(version, token), "-t", topic, "-m", text]);
    await expect(run(publisher, [...at(version, "NOBODY"), "-t", "v2/t", "-m", "{}"])).rejects.toThrow();
    await publish("v1/devices/me/telemetry", "{temperature:25}");
    await publish("v1/devices/me/attributes", '{"serial":"A1"}');
    await eventually(
      async () => [(await tenant.latest(id))["temperature"]?.value, await tenant.attributes(id, "CLIENT_SCOPE")],
      ([temperature, client]) => temperature === 25 && (client as { serial?: string }).serial === "A1",
    );
    const heard = async (topic: string, stir: () => Promise<unknown>) => {
      // Through a pipe it prints when it ends, not when it has subscribed: so it is told again until it has heard.
      await using subscriber = new ClientProcess(program("sub"), [
        ...at(version, token),
        "-t",
        topic,
        "-C",
        "1",
        "-F",
        "%q %t %p",
      ]);
      const line = subscriber.line(() => true);
      for (let told = false; !told; ) {
        await stir();
        told = await Promise.race([line.then(() => true), pause(200).then(() => false)]);
      }
      return line;
    };
    const attributes = "v1/devices/me/attributes";
    const save = () => tenant.saveAttributes(id, "SHARED_SCOPE", { interval: 30 });
    expect(await heard(attributes, save)).toBe(`1 ${attributes} {"interval":30}`);
    const reboot = () => tenant.rest.call("POST", `/api/rpc/oneway/${id}`, { method: "reboot", params: {} });
    expect(await heard("v1/devices/me/rpc/request/+", reboot)).toMatch(
      /^1 v1\/devices\/me\/rpc\/request\/\d+ \{"method":"reboot","params":\{\}\}$/,
    );
  });

  describeNeeding("openssl", openssl, () => {
    it("its tools are devices over TLS, of a server that they trust", async () => {
      const { id, token } = await tenant.device();
      const args = [...at("mqttv311", token), "-p", String(target.mqtts), "-t", "v2/t", "-m", '{"secure":1}'];
      const stranger = ["--tls-use-os-certs"];
      await expect(run(publisher, [...args, ...stranger])).rejects.toThrow();
      await run(publisher, [...args, "--cafile", cert]);
      await eventually(
        () => tenant.latest(id),
        ({ secure }) => secure?.value === 1,
      );
    });
  });
});
