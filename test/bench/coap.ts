import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "../../plugins/transport-coap/testing/child.ts";
import type { RestClient } from "../e2e/rest-client.ts";
import type { Server } from "../e2e/server.ts";
import { Client } from "./client.ts";
import { inTurn, machineMs } from "./clients/calls.ts";
import { preparedServer, type Report } from "./scenarios.ts";
import { cpuMs, fixed, pause, percentile, rss } from "./tools.ts";

const devices = 1_000;
const postsPerSecond = 1_000;
const seconds = Number(process.env["BENCH_COAP_SECONDS"] ?? 60);
const lookEveryMs = 30_000;

interface Posted {
  readonly sent: number;
  readonly lasted: number;
  readonly answered: number;
  readonly again: number;
  readonly lost: number;
  readonly refused: number;
  /** Seconds of the load, from 0, in which posts waited for more than a second. */
  readonly slowSeconds: readonly number[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
}

/** Confirmable posts at a steady rate, and the memory of the server meanwhile. */
export async function coapPosts(report: Report): Promise<void> {
  const { server } = await preparedServer(devices);
  try {
    await using client = new Client("coap-posts.ts");
    const stop = new AbortController();
    const looked = watched(server, stop.signal);
    const load = { port: server.port("CoAP"), devices, rate: postsPerSecond, seconds };
    const posted = await client.call<Posted>("run", load);
    stop.abort();
    const series = await looked;
    report({
      what: `CoAP confirmable posts, ${devices} devices, ${seconds} s, durable`,
      measured: `${Math.round(posted.sent / posted.lasted)} posts/s`,
      goal: `≥ ${postsPerSecond}`,
    });
    const { answered, sent, again, lost, refused } = posted;
    report({
      what: "  answered 2.01",
      measured: `${answered} of ${sent} (${again} sent again, ${refused} refused, ${lost} given up)`,
      goal: "all",
    });
    const times = `p50 ${fixed(posted.p50Ms)}, p99 ${fixed(posted.p99Ms)}, most ${fixed(posted.mostMs)} ms`;
    report({ what: "  answer", measured: times, goal: "" });
    const slow = posted.slowSeconds;
    const seen = slow.length === 0 ? "none" : `${slow.length} of ${seconds}: ${slow.join(" ")}`;
    report({ what: "  seconds with a post that waited more than 1 s", measured: seen, goal: "" });
    report({ what: "  resident memory, each 30 s", measured: `${series.join(", ")} MB`, goal: "bounded" });
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

async function watched(server: Server, signal: AbortSignal): Promise<number[]> {
  const series: number[] = [];
  while (!signal.aborted) {
    series.push(Math.round(rss(server.process.pid ?? 0) / 2 ** 20));
    process.stderr.write(`resident ${series.at(-1)} MB\n`);
    await sleep(lookEveryMs, undefined, { signal }).catch(() => {}); // Aborted: the load is over.
  }
  return series;
}

const writesAtOnce = 100;
/** The first rounds measure the compiler. */
const warmRounds = 5;
const measuredRounds = 7;

interface Round {
  readonly lastMs: number;
  readonly answeredMs: number;
  /** From the write of a device to its notification. */
  readonly ownMs: readonly number[];
  readonly cpuMs: number;
}

/** One attribute for each of the observing devices: pushed by the transport alone, and written through REST. */
export async function coapObservers(report: Report): Promise<void> {
  await observersAlone(report);
  const { server, rest } = await preparedServer(devices);
  try {
    await using client = new Client("coap-observers.ts");
    using writer = new AttributeWriter(server.http, rest.token);
    const ids = await deviceIds(rest);
    await client.call("observe", { port: server.port("CoAP"), count: devices });
    const rounds: Round[] = [];
    for (let round = -warmRounds; round < measuredRounds; round++) {
      const body = `{"target":${round}}`;
      await client.call("expect", { text: body });
      const cpuBefore = cpuMs(server.process.pid ?? 0);
      const began = machineMs();
      const written: number[] = [];
      await inTurn({ count: devices, atOnce: writesAtOnce }, (index) => {
        written[index] = machineMs();
        return writer.write(ids[index] as string, body);
      });
      const answeredMs = machineMs() - began;
      const heard = await client.call<number[]>("heard");
      const ownMs = heard.map((at, index) => at - (written[index] as number));
      const lastMs = Math.max(...heard) - began;
      if (round >= 0) rounds.push({ lastMs, answeredMs, ownMs, cpuMs: cpuMs(server.process.pid ?? 0) - cpuBefore });
      await pause(300);
    }
    tell(rounds, report);
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

async function observersAlone(report: Report): Promise<void> {
  await using child = await Child.start();
  await using client = new Client("coap-observers.ts");
  await client.call("observe", { port: child.port, count: devices });
  const times: number[] = [];
  for (let round = -warmRounds; round < measuredRounds; round++) {
    const text = `{"target":${round}}`;
    await client.call("expect", { text });
    const began = machineMs();
    await child.push(text);
    const lastMs = Math.max(...(await client.call<number[]>("heard"))) - began;
    if (round >= 0) times.push(lastMs);
    await pause(300);
  }
  row(report, { what: `${devices} CoAP observers, transport alone: last notification`, times, goal: "≤ 500 ms" });
}

function row(report: Report, { what, times, goal = "" }: { what: string; times: readonly number[]; goal?: string }) {
  const [middle, most] = [percentile(times, 0.5), Math.max(...times)];
  report({ what, measured: `p50 ${fixed(middle, 0)}, most ${fixed(most, 0)} ms`, goal });
}

function tell(rounds: readonly Round[], report: Report): void {
  row(report, {
    what: `  whole way: from the first of ${devices} REST writes to the last notification`,
    times: rounds.map(({ lastMs }) => lastMs),
    goal: "≤ 500 ms",
  });
  row(report, { what: "  until the last write was answered", times: rounds.map(({ answeredMs }) => answeredMs) });
  row(report, { what: "  from a device's write to its notification", times: rounds.flatMap(({ ownMs }) => ownMs) });
  row(report, { what: "  processor time of the server for all", times: rounds.map((round) => round.cpuMs) });
}

/** As lean as a client in this process can be. */
class AttributeWriter implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: writesAtOnce });
  readonly #base: URL;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(base: string, token: string) {
    this.#base = new URL(base);
    this.#headers = { "x-authorization": `Bearer ${token}`, "content-type": "application/json" };
  }

  write(deviceId: string, body: string): Promise<void> {
    const { hostname, port } = this.#base;
    const path = `/api/plugins/telemetry/DEVICE/${deviceId}/attributes/SHARED_SCOPE`;
    const headers = { ...this.#headers, "content-length": body.length };
    return new Promise((resolve, reject) => {
      const sent = request({ agent: this.#agent, method: "POST", hostname, port, path, headers }, (answer) => {
        answer.resume().on("end", () => {
          if (answer.statusCode === 200) resolve();
          else reject(new Error(`attributes of ${deviceId}: ${answer.statusCode}`));
        });
      });
      sent.on("error", reject).end(body);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

async function deviceIds(rest: RestClient): Promise<string[]> {
  const { data } = await rest.get(`/api/tenant/devices?pageSize=2000&page=0&textSearch=bench`);
  const named = new Map<string, string>(data.map(({ name, id }: any) => [name, id.id]));
  return Array.from({ length: devices }, (_, index) => {
    const id = named.get(`bench DW${String(index).padStart(8, "0")}`);
    if (id === undefined) throw new Error(`device ${index} is not listed`);
    return id;
  });
}
