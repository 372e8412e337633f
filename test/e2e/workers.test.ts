import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RestClient } from "./rest-client.ts";
import { Server } from "./server.ts";

const devices = [
  ["Test Device A1", "A1_TEST_TOKEN"],
  ["Test Device A2", "A2_TEST_TOKEN"],
  ["Test Device A3", "A3_TEST_TOKEN"],
  ["Test Device B1", "B1_TEST_TOKEN"],
  ["Test Device C1", "C1_TEST_TOKEN"],
  ["DHT11 Demo Device", "DHT11_DEMO_TOKEN"],
] as const;
const base = 1_700_000_000_000;
const args = ["--set", "node.workers=2"];
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

let server: Server;
let rest: RestClient;

const start = (dataDir?: string) =>
  Server.start({ args, readyMs: 60_000, ...(dataDir === undefined ? {} : { dataDir }) });

beforeAll(async () => {
  server = await start();
  rest = await RestClient.signIn(server.http);
}, 90_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const connect = (token: string): Promise<MqttClient> =>
  mqtt.connectAsync(`mqtt://127.0.0.1:${server.port("MQTT")}`, { username: token, reconnectPeriod: 200 });

const workerPids = (parent = server.process.pid): number[] =>
  readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").split(" ").filter(Boolean).map(Number);

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);

/** Established connections to a port, by the process that holds the server's end. */
function connectionsOf(pids: readonly number[], port: number): number[] {
  const inodes = new Set(
    readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(
        ([, local, , state]) =>
          state === "01" && local?.endsWith(`:${port.toString(16).toUpperCase().padStart(4, "0")}`),
      )
      .map((fields) => `socket:[${fields[9]}]`),
  );
  const held = (pid: number) => execFileSync("ls", ["-l", `/proc/${pid}/fd`], { encoding: "utf8" });
  return pids.map((pid) => [...inodes].filter((inode) => held(pid).includes(inode)).length);
}

/** Asked on a connection of its own each time, so that every worker gets its turn. */
async function fromEach<T>(path: string, times = 4): Promise<T[]> {
  const answers: T[] = [];
  for (let i = 0; i < times; i++) {
    const answer = await fetch(server.http + path, {
      headers: { "x-authorization": `Bearer ${rest.token}`, connection: "close" },
    });
    expect(answer.status).toBe(200);
    answers.push((await answer.json()) as T);
  }
  return answers;
}

interface Status {
  readonly self: string;
  readonly members: readonly { readonly partitions: number }[];
}

async function twoMembers(ms: number): Promise<void> {
  for (const end = performance.now() + ms; ; await pause(200)) {
    const [one] = await fromEach<Status>("/cluster", 1).catch(() => []);
    if (one?.members.length === 2 && one.members.every(({ partitions }) => partitions > 0)) return;
    if (performance.now() > end) throw new Error(`not two members within ${ms} ms: ${JSON.stringify(one)}`);
  }
}

/** Acknowledged numbers of each device that REST does not have. */
async function missing(acknowledged: ReadonlyMap<string, ReadonlySet<number>>): Promise<string[]> {
  for (let attempt = 0; ; attempt++) {
    const lost: string[] = [];
    for (const [name, numbers] of acknowledged) {
      const id = await rest.deviceId(name);
      const query = `keys=n&startTs=${base}&endTs=${base + 1_000_000}&limit=100000&orderBy=ASC`;
      const found = await rest.get(`/api/plugins/telemetry/DEVICE/${id}/values/timeseries?${query}`);
      const stored = new Set(((found.n ?? []) as { value: string }[]).map(({ value }) => Number(value)));
      for (const n of numbers) if (!stored.has(n)) lost.push(`${name}: ${n}`);
    }
    if (lost.length === 0 || attempt === 40) return lost;
    await pause(500);
  }
}

describe("two workers on one machine", () => {
  it("share the ports and the partitions, and both answer", async () => {
    await twoMembers(10_000);
    const answers = await fromEach<Status>("/cluster");
    expect(new Set(answers.map(({ self }) => self)).size).toBe(2);
    expect(answers[0]?.members.reduce((sum, { partitions }) => sum + partitions, 0)).toBe(128);
  });

  it("telemetry of connections on both is there whichever is asked", async () => {
    const clients = await Promise.all(devices.map(([, token]) => connect(token)));
    const held = connectionsOf(workerPids(), server.port("MQTT"));
    expect(held.every((count) => count >= 1)).toBe(true);
    for (const [i, client] of clients.entries())
      await client.publishAsync("v1/devices/me/telemetry", `{"spread":${i}}`, { qos: 1 });
    for (const [i, [name]] of devices.entries()) {
      const id = await rest.deviceId(name);
      const path = `/api/plugins/telemetry/DEVICE/${id}/values/timeseries?keys=spread`;
      let answers: { spread: { value: string }[] }[] = [];
      for (let attempt = 0; attempt < 50; attempt++) {
        answers = await fromEach(path, 2);
        if (answers.every(({ spread }) => spread?.[0]?.value === String(i))) break;
        await pause(100);
      }
      expect(answers.map(({ spread }) => spread[0]?.value)).toEqual([String(i), String(i)]);
    }
    await Promise.all(clients.map((client) => client.endAsync()));
  });

  it("a call from REST reaches a device whichever worker holds it", async () => {
    const [name, token] = devices[1];
    const id = await rest.deviceId(name);
    const client = await connect(token);
    await client.subscribeAsync("v1/devices/me/rpc/request/+", { qos: 1 });
    client.on("message", (topic) =>
      client.publish(topic.replace("request", "response"), '{"from":"device"}', { qos: 1 }),
    );
    for (let i = 0; i < 4; i++) {
      const answer = await fetch(`${server.http}/api/rpc/twoway/${id}`, {
        method: "POST",
        headers: {
          "x-authorization": `Bearer ${rest.token}`,
          "content-type": "application/json",
          connection: "close",
        },
        body: JSON.stringify({ method: "m", params: {}, timeout: 5_000 }),
      });
      expect([answer.status, await answer.json()]).toEqual([200, { from: "device" }]);
    }
    await client.endAsync();
  });

  it("a worker killed under load comes back, and nothing acknowledged is missing", { timeout: 120_000 }, async () => {
    const acknowledged = new Map<string, Set<number>>();
    let stopped = false;
    const senders = devices.map(async ([name, token]) => {
      const client = await connect(token);
      client.on("error", () => {});
      const done = new Set<number>();
      acknowledged.set(name, done);
      for (let n = 0; !stopped; n++) {
        const body = `{"ts":${base + n},"values":{"n":${n}}}`;
        await client.publishAsync("v1/devices/me/telemetry", body, { qos: 1 }).then(
          () => done.add(n),
          () => undefined,
        );
      }
      await client.endAsync(true);
    });
    await pause(1_500);
    const before = workerPids();
    expect(before).toHaveLength(2);
    process.kill(before[1] as number, "SIGKILL");
    await pause(3_000);
    await twoMembers(40_000);
    await pause(500);
    stopped = true;
    await Promise.all(senders);
    const counts = [...acknowledged.values()].map(({ size }) => size);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect(await missing(acknowledged)).toEqual([]);
    const after = workerPids();
    expect(after).toHaveLength(2);
    expect(after).not.toContain(before[1]);
    expect(alive(server.process.pid as number)).toBe(true);
  });

  it("a worker that is stopped loses its seat and is replaced", { timeout: 90_000 }, async () => {
    await twoMembers(10_000);
    const stuck = workerPids()[0] as number;
    process.kill(stuck, "SIGSTOP");
    for (const end = performance.now() + 20_000; alive(stuck) && performance.now() < end; ) await pause(200);
    expect(alive(stuck)).toBe(false);
    await twoMembers(40_000);
  });

  it("SIGTERM ends all of them with exit code 0, and the next start has everything", { timeout: 120_000 }, async () => {
    const id = await rest.deviceId(devices[2][0]);
    await rest.call("POST", `/api/plugins/telemetry/DEVICE/${id}/timeseries/ANY`, { kept: 1 });
    const pids = workerPids();
    const { dataDir } = server;
    await server.stop();
    expect(server.process.exitCode).toBe(0);
    expect(pids.filter(alive)).toEqual([]);
    server = await start(dataDir);
    rest = await RestClient.signIn(server.http);
    const found = await rest.get(`/api/plugins/telemetry/DEVICE/${id}/values/timeseries?keys=kept`);
    expect(found.kept[0].value).toBe("1");
  });

  it("workers end with their parent and leave no socket behind", async () => {
    const pids = workerPids();
    const folder = (await fromEach<{ members: { address: string }[] }>("/cluster", 1))[0]?.members[0]?.address;
    const name = /heddle-[^/]+/.exec(folder ?? "")?.[0] ?? "none";
    expect(readdirSync(tmpdir())).toContain(name);
    await server.kill();
    for (const end = performance.now() + 5_000; pids.some(alive) && performance.now() < end; ) await pause(50);
    expect(pids.filter(alive)).toEqual([]);
    expect(readdirSync(tmpdir())).not.toContain(name);
  });
});
