import { join } from "node:path";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import mqtt from "mqtt";
import { expect, it } from "vitest";
import { RestClient } from "./rest-client.ts";
import { Server } from "./server.ts";
import { SmallDisk } from "./small-disk.ts";

const base = 1_700_000_000_000;
const http = { device: "Test Device A1", token: "A1_TEST_TOKEN" };
const publisher = { device: "Test Device A2", token: "A2_TEST_TOKEN" };

/** Sends numbered values one after the other, each until it is refused or acknowledged. */
class Sender {
  readonly acknowledged = new Set<number>();
  refused = 0;
  readonly #send: (n: number) => Promise<boolean>;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #next = 0;

  constructor(send: (n: number) => Promise<boolean>) {
    this.#send = send;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const n = this.#next++;
      if (await this.#send(n)) this.acknowledged.add(n);
      else this.refused++;
      await pause(20);
    }
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const body = (n: number) => JSON.stringify({ ts: base + n, values: { n } });

function overHttp(server: Server): Sender {
  return new Sender(async (n) => {
    const url = `${server.http}/api/v1/${http.token}/telemetry`;
    const headers = { "content-type": "application/json" };
    try {
      return (await fetch(url, { method: "POST", headers, body: body(n), signal: AbortSignal.timeout(2_000) })).ok;
    } catch {
      return false;
    }
  });
}

/** A publish that is not acknowledged soon counts as refused; its connection ends, so that it is not sent again. */
function overMqtt(server: Server): Sender {
  return new Sender(
    (n) =>
      new Promise((resolve) => {
        const at = `mqtt://127.0.0.1:${server.port("MQTT")}`;
        const client = mqtt.connect(at, { username: publisher.token, reconnectPeriod: 0, connectTimeout: 2_000 });
        const done = (acknowledged: boolean) => {
          clearTimeout(late);
          client.end(true);
          resolve(acknowledged);
        };
        const late = setTimeout(done, 2_000, false);
        client.on("error", () => done(false));
        client.on("close", () => done(false));
        client.on("connect", () => {
          client.publish("v1/devices/me/telemetry", body(n), { qos: 1 }, (error) => done(!error));
        });
      }),
  );
}

async function eventually(what: string, ms: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + ms; !(await holds()); await pause(50)) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
  }
}

const stored = async (rest: RestClient, id: string): Promise<Set<number>> => {
  const query = `keys=n&startTs=${base}&endTs=${base + 1_000_000}&limit=100000&orderBy=ASC`;
  const { n = [] } = await rest.get(`/api/plugins/telemetry/DEVICE/${id}/values/timeseries?${query}`);
  return new Set((n as { value: string }[]).map(({ value }) => Number(value)));
};

describeNeeding("tmpfs", SmallDisk.possible, () => {
  it("a full disk: nothing is acknowledged, reads go on, it recovers by itself and has lost nothing", {
    timeout: 120_000,
  }, async () => {
    using disk = new SmallDisk(64);
    await using server = await Server.start({ dataDir: join(disk.path, "data") });
    const rest = await RestClient.signIn(server.http);
    const senders = [overHttp(server), overMqtt(server)];
    const acknowledged = () => senders.map(({ acknowledged: all }) => all.size);
    const ready = async () => (await fetch(`${server.http}/health/ready`)).status;
    try {
      await eventually("both are acknowledged", 15_000, () => senders.every(({ acknowledged: all }) => all.size > 20));
      const id = await rest.deviceId(http.device);
      await eventually("a value is stored", 5_000, async () => (await stored(rest, id)).has(0));

      // What is acknowledged at first has its place in the last blocks of files, or in ones that were given back.
      await eventually("nothing is acknowledged for 3 s", 45_000, async () => {
        disk.fill();
        const before = acknowledged();
        const seen = new Set<number>();
        for (let reads = 0; reads < 10; reads++) {
          expect((await stored(rest, id)).has(0)).toBe(true);
          seen.add(await ready());
          await pause(300);
        }
        return acknowledged().join() === before.join() && [...seen].join() === "503";
      });
      expect(senders.every(({ refused }) => refused > 0)).toBe(true);
      const before = acknowledged();

      disk.empty();
      await eventually("both are acknowledged again", 15_000, () =>
        senders.every(({ acknowledged: all }, at) => all.size > (before[at] as number) + 5),
      );
      await eventually("ready", 15_000, async () => (await ready()) === 200);
    } finally {
      await Promise.all(senders.map((sender) => sender.stop()));
    }
    for (const [at, { device }] of [http, publisher].entries()) {
      const id = await rest.deviceId(device);
      const all = [...(senders[at] as Sender).acknowledged];
      let missing = all;
      await eventually(`all of ${device} is stored`, 15_000, async () => {
        const found = await stored(rest, id);
        missing = all.filter((n) => !found.has(n));
        return missing.length === 0;
      }).catch((error: Error) => {
        throw new Error(`${error.message}; missing ${missing.join()} of ${all.length}`);
      });
    }
    await eventually("the stores are well", 5_000, async () => {
      const health = (await (await fetch(`${server.http}/health/ready`)).json()) as { state: string };
      return health.state === "up";
    });
  });
});
