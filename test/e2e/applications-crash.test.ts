import { connect, connectAsync, type IClientOptions } from "mqtt";
import { describe, expect, it } from "vitest";
import { RestClient } from "./rest-client.ts";
import { Server } from "./server.ts";

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

interface Publisher {
  readonly acknowledged: readonly number[];
  readonly gone: Promise<void>;
}

/** Publishes numbers until the server is gone. */
async function publisher(server: Server, who: IClientOptions, topic: string, first: number): Promise<Publisher> {
  const acknowledged: number[] = [];
  const client = await connectAsync(`mqtt://127.0.0.1:${server.port("MQTT")}`, { ...who, reconnectPeriod: 0 }, false);
  client.on("error", () => {});
  let next = first;
  const send = (): void => {
    const number = next++;
    client.publish(topic, `{"n":${number}}`, { qos: 1 }, (error) => {
      if (error) return;
      acknowledged.push(number);
      send();
    });
  };
  for (let n = 0; n < 10; n++) send();
  const gone = new Promise<void>((resolve) => client.once("close", () => resolve()));
  return { acknowledged, gone: gone.then(() => void client.end(true)) };
}

describe("applications and kill -9", () => {
  it("a session finds everything that was acknowledged while it was away, retained messages stay, wills are published", async () => {
    // More may wait for one session than usually.
    const args = ["--set", "plugins.mqttBroker.config.queued=100000"];
    let server = await Server.start({ args });
    const rest = await RestClient.signIn(server.http);
    const made = await rest.post("/api/application", { name: "crash" });
    const who = { username: made.userName, password: made.password };
    const space = `tenant/${made.tenantId.id}`;
    const deviceId = await rest.deviceId("Test Device A1");
    const session = { ...who, clientId: "session", clean: false, reconnectPeriod: 0 };
    const url = () => `mqtt://127.0.0.1:${server.port("MQTT")}`;
    try {
      const first = await connectAsync(url(), session, false);
      await first.subscribeAsync([`${space}/mail`, `${space}/device/${deviceId}/telemetry`], { qos: 1 });
      await first.endAsync();
      const keeper = await connectAsync(url(), { ...who, reconnectPeriod: 0 }, false);
      await keeper.publishAsync(`${space}/kept`, "kept", { qos: 1, retain: true });
      await keeper.endAsync();

      const mails: number[] = [];
      const values: number[] = [];
      for (let round = 0; round < 2; round++) {
        const will = { topic: `${space}/will/${round}`, payload: Buffer.from("dead"), qos: 1 as const, retain: true };
        const mortal = await connectAsync(
          url(),
          { ...who, clientId: `mortal ${round}`, will, reconnectPeriod: 0 },
          false,
        );
        mortal.on("error", () => {});
        const mail = await publisher(server, who, `${space}/mail`, 1_000_000 * round);
        const device = { username: "A1_TEST_TOKEN" };
        const telemetry = await publisher(server, device, "v1/devices/me/telemetry", 1_000_000 * round);
        await pause(200);
        while (mail.acknowledged.length < 20 || telemetry.acknowledged.length < 20) await pause(20);
        server.process.kill("SIGKILL");
        await Promise.all([mail.gone, telemetry.gone]);
        mails.push(...mail.acknowledged);
        values.push(...telemetry.acknowledged);
        mortal.end(true);
        server = await Server.start({ dataDir: server.dataDir, args });
      }
      const heard = { mail: new Set<number>(), values: new Set<number>(), free: new Map<string, string>() };
      const back = connect(url(), session);
      back.on("message", (topic, payload) => {
        const text = String(payload);
        if (topic === `${space}/mail`) heard.mail.add(JSON.parse(text).n);
        else if (topic.endsWith("/telemetry")) heard.values.add(JSON.parse(text).values.n);
        else heard.free.set(topic, text);
      });
      await new Promise<void>((resolve) => back.once("connect", () => resolve()));
      await back.subscribeAsync([`${space}/kept`, `${space}/will/+`], { qos: 1 });
      const missing = () => [...mails.filter((n) => !heard.mail.has(n)), ...values.filter((n) => !heard.values.has(n))];
      for (let waited = 0; waited < 100 && (missing().length > 0 || heard.free.size < 3); waited++) await pause(100);
      expect(missing()).toEqual([]);
      expect(Object.fromEntries(heard.free)).toEqual({
        [`${space}/kept`]: "kept",
        [`${space}/will/0`]: "dead",
        [`${space}/will/1`]: "dead",
      });
      back.end(true);
    } catch (error) {
      throw new Error(server.log.join("").slice(-4_000), { cause: error });
    } finally {
      await server[Symbol.asyncDispose]();
    }
  }, 90_000);
});
