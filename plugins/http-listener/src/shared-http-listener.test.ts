import { Agent, request as send } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  type ClusterStatus,
  Fault,
  LaunchOptions,
  type NodeHealth,
  Observability,
  ReadyNotes,
} from "@heddle/plugin-sdk";
import { configOf, describePlugin, realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import card from "./index.ts";
import { Mounts } from "./mounts.ts";
import { SharedHttpListener } from "./shared-http-listener.ts";

let health: () => Promise<NodeHealth>;
let cluster: () => Promise<ClusterStatus>;
const observability: Observability = { metrics: () => "up 1\n", health: () => health(), cluster: () => cluster() };
const up: NodeHealth = { state: "up", ready: true, plugins: {} };
const deps = {
  world: realWorld(),
  log: silentLog,
  observability,
  notes: { add() {} },
  launch: { demo: true },
};

describePlugin(card, {
  config: { port: 0, host: "127.0.0.1" },
  deps: new Map<string, unknown>([
    [Observability.id, observability],
    [ReadyNotes.id, deps.notes],
    [LaunchOptions.id, deps.launch],
  ]),
});

const made: SharedHttpListener[] = [];
const gauges: number[] = [];
function listener(port = 0): SharedHttpListener {
  const config = configOf(card, { port, host: "127.0.0.1" }) as unknown as { port: number } & {
    host: string;
    headerTimeout: number;
    requestTimeout: number;
  };
  const metrics = {
    requests: { record() {} },
    connections: { record: (open: number) => void gauges.push(open) },
  };
  const one = new SharedHttpListener(config, deps, metrics);
  made.push(one);
  return one;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type: string | undefined;
}

function get(server: SharedHttpListener, path: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: server.address.port, path, ...(agent === undefined ? {} : { agent }) };
    const request = send(options, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += String(chunk);
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body, type: response.headers["content-type"] }),
      );
    });
    request.on("error", reject);
    request.end();
  });
}

const raw = (server: SharedHttpListener, head: string): Socket => {
  const socket = connect(server.address.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(`${head}\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  return socket;
};
const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()));

describe("mounts", () => {
  it("give the longest prefix that matches whole segments", () => {
    const mounts = new Mounts<string>();
    for (const prefix of ["/", "/api", "/api/v1", "/assets/"]) mounts.add(prefix, prefix);
    const found = (url: string) => mounts.find(url)?.handle;
    expect(found("/api/v1/T/telemetry")).toBe("/api/v1");
    expect(found("/api/v1?x=1")).toBe("/api/v1");
    expect(found("/api/v10")).toBe("/api");
    expect(found("/apiary")).toBe("/");
    expect(found("/api")).toBe("/api");
    expect(found("/assets/a.js")).toBe("/assets/");
    expect(found("/assets")).toBe("/");
  });

  it("refuse a prefix twice, until the first has gone", () => {
    const mounts = new Mounts<string>();
    const first = mounts.add("/api", "first");
    expect(() => mounts.add("/api", "second")).toThrow(
      expect.objectContaining({ code: "http.mount", kind: "invalid" }),
    );
    first[Symbol.dispose]();
    expect(mounts.find("/api")).toBeUndefined();
    mounts.add("/api", "second");
    first[Symbol.dispose]();
    expect(mounts.find("/api")?.handle).toBe("second");
  });
});

describe("the shared listener", () => {
  let server: SharedHttpListener;
  beforeEach(async () => {
    health = async () => up;
    server = listener();
    await server.start();
  });
  afterEach(async () => {
    for (const one of made.splice(0)) await one[Symbol.asyncDispose]();
  });

  it("gives a request to its mount", async () => {
    server.mount("/api", (_request, response) => response.end("api"));
    server.mount("/api/v1", (_request, response) => response.end("v1"));
    expect((await get(server, "/api/v1/x")).body).toBe("v1");
    expect((await get(server, "/api/v2")).body).toBe("api");
    expect(() => server.mount("/api", () => undefined)).toThrow(/\/api is mounted already/);
  });

  it("answers 404 as a document where nothing is mounted", async () => {
    const { status, body, type } = await get(server, "/nothing");
    expect({ status, type, body: JSON.parse(body) }).toEqual({
      status: 404,
      type: "application/json",
      body: { status: 404, message: "Not found" },
    });
  });

  it("serves the state of the cluster, and 503 with the reason before there is one", async () => {
    cluster = async () => ({ self: "a", epoch: 1, partitions: 8, members: [], serving: 8, lanes: [] });
    expect(await get(server, "/cluster")).toMatchObject({ status: 200, body: JSON.stringify(await cluster()) });
    cluster = () => Promise.reject(new Fault("unavailable", "cluster.not-joined", "not yet"));
    expect(await get(server, "/cluster")).toMatchObject({ status: 503, body: '{"error":"not yet"}' });
  });

  it("serves metrics and health", async () => {
    expect(await get(server, "/metrics")).toEqual({
      status: 200,
      body: "up 1\n",
      type: "text/plain; version=0.0.4; charset=utf-8",
    });
    expect(await get(server, "/health/live")).toMatchObject({ status: 200, body: '{"state":"up"}' });
    expect(await get(server, "/health/ready")).toMatchObject({ status: 200, body: JSON.stringify(up) });
  });

  it("answers 503 while the node is not ready, and 500 when nobody can say", async () => {
    health = async () => ({ state: "degraded", ready: false, plugins: {} });
    expect(await get(server, "/health/ready")).toMatchObject({ status: 503 });
    health = () => Promise.reject(new Error("no answer"));
    expect(await get(server, "/health/ready")).toMatchObject({ status: 500 });
  });

  it("says clearly that a port is taken, and starts once it is free", async () => {
    const { port } = server.address;
    const second = listener(port);
    await expect(second.start()).rejects.toMatchObject({
      code: "http.listen",
      kind: "unavailable",
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    await server[Symbol.asyncDispose]();
    await second.start();
    expect((await get(second, "/health/live")).status).toBe(200);
  });

  it("has no address before it listens", () => {
    expect(() => listener().address).toThrow(/not started/);
  });

  it("ends soon although idle connections are open", async () => {
    const agent = new Agent({ keepAlive: true });
    await get(server, "/health/live", agent);
    const began = performance.now();
    await server[Symbol.asyncDispose]();
    expect(performance.now() - began).toBeLessThan(500);
    agent.destroy();
  });

  it("lets a request in progress end, and waits for its connection no longer", async () => {
    let finish = () => {};
    const reached = new Promise<void>((resolve) => {
      server.mount("/slow", (_request, response) => {
        finish = () => response.end("done");
        resolve();
      });
    });
    const agent = new Agent({ keepAlive: true });
    const answer = get(server, "/slow", agent);
    await reached;
    const began = performance.now();
    const ended = server[Symbol.asyncDispose]();
    finish();
    expect((await answer).body).toBe("done");
    await ended;
    expect(performance.now() - began).toBeLessThan(1_500);
    agent.destroy();
  });

  it("cuts requests and upgraded connections that do not end", async () => {
    const reached = new Promise<Duplex>((resolve) => {
      server.upgrade("/api/ws", (_request, socket) => {
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
        resolve(socket);
      });
    });
    const stuck = new Promise<void>((resolve) => server.mount("/hangs", () => resolve()));
    const upgraded = raw(server, "GET /api/ws HTTP/1.1").resume();
    const hanging = get(server, "/hangs").catch((error: NodeJS.ErrnoException) => error.code);
    await Promise.all([reached, stuck]);
    const [began, gone] = [performance.now(), closed(upgraded)];
    await server[Symbol.asyncDispose]();
    await gone;
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(await hanging).toBe("ECONNRESET");
    await expect.poll(() => gauges.at(-1)).toBe(0);
  });

  it("answers 404 to an upgrade that nobody wants, and outlives clients that reset", async () => {
    const socket = raw(server, "GET /nothing HTTP/1.1");
    const text = await new Promise<string>((resolve) => socket.once("data", (chunk) => resolve(String(chunk))));
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
    for (let n = 0; n < 20; n++) {
      const rude = raw(server, "GET /nothing HTTP/1.1");
      rude.once("connect", () => setImmediate(() => rude.resetAndDestroy()));
      await closed(rude);
    }
    expect((await get(server, "/health/live")).status).toBe(200);
  });
});
