import mqtt, { type MqttClient } from "mqtt";
import { RestClient } from "./rest-client.ts";
import { Server } from "./server.ts";

/** Devices of the demo data. */
const devices = [
  ["Test Device A1", "A1_TEST_TOKEN"],
  ["Test Device A2", "A2_TEST_TOKEN"],
  ["Test Device A3", "A3_TEST_TOKEN"],
  ["Test Device B1", "B1_TEST_TOKEN"],
  ["Test Device C1", "C1_TEST_TOKEN"],
  ["DHT11 Demo Device", "DHT11_DEMO_TOKEN"],
] as const;
const window = 20;
const base = 1_700_000_000_000;

interface Sender {
  readonly name: string;
  readonly token: string;
  /** Numbers that the server acknowledged. */
  readonly acknowledged: Set<number>;
  next: number;
}

export interface CrashReport {
  readonly rounds: number;
  readonly acknowledged: number;
  readonly missing: readonly string[];
  /** From the spawn to ready, after each kill, ms. */
  readonly startMs: readonly number[];
}

/**
 * Real MQTT clients publish numbered values with QoS 1; the server is killed at a random moment under load, again and
 * again. In the end every acknowledged number must be readable through REST.
 */
export async function crashRun(rounds: number, progress: (line: string) => void = () => {}): Promise<CrashReport> {
  const senders: Sender[] = devices.map(([name, token]) => ({ name, token, acknowledged: new Set(), next: 0 }));
  let server = await Server.start();
  const startMs: number[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      await underLoad(server, senders, 300 + Math.random() * 1_200);
      server = await Server.start({ dataDir: server.dataDir });
      startMs.push(server.tookMs);
      const acknowledged = senders.reduce((sum, { acknowledged: all }) => sum + all.size, 0);
      progress(`round ${round} of ${rounds}: ${acknowledged} acknowledged, back after ${Math.round(server.tookMs)} ms`);
    }
    return {
      rounds,
      acknowledged: senders.reduce((sum, one) => sum + one.acknowledged.size, 0),
      missing: await missing(server, senders),
      startMs,
    };
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

async function underLoad(server: Server, senders: readonly Sender[], ms: number): Promise<void> {
  const url = `mqtt://127.0.0.1:${server.port("MQTT")}`;
  const clients = await Promise.all(senders.map(({ token }) => connect(url, token)));
  let going = true;
  clients.forEach((client, i) => {
    const sender = senders[i] as Sender;
    const send = () => {
      if (!going) return;
      const n = sender.next++;
      client.publish(
        "v1/devices/me/telemetry",
        JSON.stringify({ ts: base + n, values: { n } }),
        { qos: 1 },
        (error) => {
          if (error !== undefined && error !== null) return;
          sender.acknowledged.add(n);
          send();
        },
      );
    };
    for (let i = 0; i < window; i++) send();
  });
  await new Promise((resolve) => setTimeout(resolve, ms));
  await server.kill();
  going = false;
  for (const client of clients) client.end(true);
}

function connect(url: string, username: string): Promise<MqttClient> {
  return new Promise((resolve, reject) => {
    const client = mqtt.connect(url, { username, reconnectPeriod: 0, connectTimeout: 5_000 });
    client.once("connect", () => resolve(client));
    client.once("error", reject);
  });
}

/** The lane may still be working off what it had taken: patience, then the verdict. */
async function missing(server: Server, senders: readonly Sender[]): Promise<string[]> {
  const rest = await RestClient.signIn(server.http);
  for (let attempt = 0; ; attempt++) {
    const lost: string[] = [];
    for (const { name, acknowledged, next } of senders) {
      const id = await rest.deviceId(name);
      const query = `keys=n&startTs=${base}&endTs=${base + next + 1}&limit=${next + 1}&orderBy=ASC`;
      const found = await rest.get(`/api/plugins/telemetry/DEVICE/${id}/values/timeseries?${query}`);
      const stored = new Set(((found.n ?? []) as { value: string }[]).map(({ value }) => Number(value)));
      for (const n of acknowledged) if (!stored.has(n)) lost.push(`${name}: ${n}`);
    }
    if (lost.length === 0 || attempt === 20) return lost;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
