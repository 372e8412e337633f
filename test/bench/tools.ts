import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = join(tmpdir(), "heddle-bench");

/** Runs a command to its end; its output. */
export function output(command: string, args: readonly string[], limitMs = 120_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        out += String(chunk);
      });
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(out);
      else reject(new Error(`${command} ended with ${code}: ${out.slice(-500)}`));
    });
  });
}

/** The load generator, compiled once. */
export function mqttLoad(): string {
  const source = join(import.meta.dirname, "mqtt-load.c");
  const binary = join(folder, "mqtt-load");
  mkdirSync(folder, { recursive: true });
  if (!existsSync(binary)) execFileSync("gcc", ["-O2", "-w", "-o", binary, source]);
  return binary;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly messages: number;
  readonly acknowledged: number;
  readonly cpuMicros: number;
  readonly rssBytes: number;
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
}

export async function load(o: {
  port: number;
  pid: number;
  connections: number;
  window: number;
  seconds: number;
  rate?: number;
}): Promise<LoadResult> {
  const args = [
    "127.0.0.1",
    o.port,
    o.pid,
    o.connections,
    1,
    o.window,
    o.seconds,
    ...(o.rate === undefined ? [] : [o.rate]),
  ];
  const line = await output(mqttLoad(), args.map(String));
  const number = (pattern: RegExp) => Number(pattern.exec(line)?.[1] ?? Number.NaN);
  return {
    perSecond: number(/: (\d+) msg\/s/),
    messages: number(/\((\d+) msgs/),
    acknowledged: number(/acked (\d+)/),
    cpuMicros: number(/= ([\d.]+) us\/msg/),
    rssBytes: number(/rss (\d+) KB/) * 1024,
    ackP50Ms: number(/p50 ([\d.]+)/),
    ackP99Ms: number(/p99 ([\d.]+)/),
  };
}

/** Debian's broker, tuned as the goals say. */
export async function withMosquitto<T>(run: (at: { port: number; pid: number }) => Promise<T>): Promise<T> {
  const port = 21_883;
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "mosquitto.conf");
  writeFileSync(
    config,
    `listener ${port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages 0\nlog_type error\n`,
  );
  const broker = spawn("/usr/sbin/mosquitto", ["-c", config], { stdio: "ignore" });
  try {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return await run({ port, pid: broker.pid ?? 0 });
  } finally {
    broker.kill();
  }
}

export function rss(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
}

/** Processor time of a process so far, its system calls too, ms. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [user = 0, system = 0] = stat.slice(stat.lastIndexOf(")")).split(" ").slice(12, 14).map(Number);
  return (user + system) * 10;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN;
}

export const fixed = (value: number, digits = 1): string => value.toFixed(digits);
