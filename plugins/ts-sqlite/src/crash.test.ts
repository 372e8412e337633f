import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import type { Point } from "@heddle/plugin-sdk";
import { realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SqliteTimeseries, type TimeseriesConfig } from "./sqlite-timeseries.ts";

const child = fileURLToPath(new URL("../testing/crash-child.ts", import.meta.url));
const metric = { record: () => undefined };
const metrics = { commitSeconds: metric, batchPoints: metric, pendingBytes: metric };
const call = { signal: new AbortController().signal };
const entity = { entityType: "DEVICE", id: "crash" };

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-ts-"));
});
afterEach(() => rm(folder, { recursive: true }));

const configOf = (more: Partial<TimeseriesConfig> = {}): TimeseriesConfig => ({
  file: join(folder, "timeseries.db"),
  batchBytes: 1 << 20,
  pendingBytes: 1 << 24,
  maxCalls: 100,
  series: 1000,
  tidyMs: 20,
  commitInterval: 0,
  logPoints: 300,
  ...more,
});

async function open(config: TimeseriesConfig): Promise<SqliteTimeseries> {
  const store = new SqliteTimeseries(config, { world: realWorld(), log: silentLog, metrics });
  await store.start(new AbortController().signal);
  return store;
}

/** The last ts that the child said was acknowledged before it was killed in the middle of its work. */
async function runAndKill(first: number, acknowledgements: number): Promise<number> {
  const args = ["--conditions=source", "--import", "tsx", child, configOf().file, String(first)];
  const running = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  running.stdout.on("data", (data) => {
    said += data;
    if (said.split("\n").length > acknowledgements) running.kill("SIGKILL");
  });
  await new Promise((resolve) => running.on("close", resolve));
  return Number(said.slice(0, said.lastIndexOf("\n")).split("\n").at(-1));
}

async function read(store: SqliteTimeseries, key: string): Promise<Point[]> {
  const points: Point[] = [];
  const query = { entity, keys: [key], from: 0, to: 1e9, limit: 1e9, order: "asc" as const };
  for await (const page of store.range(query, call)) points.push(...page);
  return points;
}

describe("ts-sqlite and trouble", () => {
  it("keeps every acknowledged point through kill -9, round after round", { timeout: 60_000 }, async () => {
    let first = 0;
    for (const acknowledgements of [120, 700, 300]) {
      const last = await runAndKill(first, acknowledgements);
      expect(last).toBeGreaterThan(first);
      const store = await open(configOf());
      for (const [key, expected] of [
        ["a", (ts: number) => ts],
        ["c", (ts: number) => `text ${ts}`],
      ] as const) {
        const points = await read(store, key);
        // A point may be there that was not acknowledged any more.
        expect(points.length).toBeGreaterThan(last);
        points.forEach(({ ts, value }, at) => {
          if (ts !== at || value !== expected(at)) throw new Error(`${key}: ${ts} ${String(value)} at place ${at}`);
        });
      }
      expect((await store.latest(entity, ["b"], call))[0]?.ts).toBeGreaterThanOrEqual(last);
      first = (await read(store, "a")).length;
      await store[Symbol.asyncDispose]();
    }
  });

  it("refuses a file that another owner has, and says so", async () => {
    const store = await open(configOf());
    const second = new SqliteTimeseries(configOf(), { world: realWorld(), log: silentLog, metrics });
    await expect(second.start(call.signal)).rejects.toMatchObject({
      code: "timeseries.locked",
      message: expect.stringContaining("in use by another process"),
    });
    expect(second.health().state).toBe("down");
    await store[Symbol.asyncDispose]();
  });

  it("refuses appends on a full disk, loses nothing acknowledged, reads on, and recovers when there is room", async () => {
    const store = await open(configOf({ maxBytes: 400_000 }));
    const noise = (ts: number) =>
      Array.from({ length: 40 }, (_, at) => ((ts + 1) * (at + 3) * 2_654_435_761) % 4_294_967_291).join();
    let acknowledged = 0;
    const fill = async (to: { entityType: string; id: string }) => {
      for (let ts = 0; ts < 5000; ts++) {
        await store.append([{ entity: to, ts, values: { a: noise(ts) } }], call);
        if (to === entity) acknowledged++;
      }
    };
    await expect(fill(entity)).rejects.toMatchObject({ code: "timeseries.unavailable", kind: "unavailable" });
    expect(acknowledged).toBeGreaterThan(100);
    expect(store.health().state).toBe("degraded");
    expect((await read(store, "a")).map(({ ts }) => ts)).toEqual(Array.from({ length: acknowledged }, (_, ts) => ts));
    await store.remove({ entity, keys: ["a"], from: 0, to: acknowledged - 50, latest: "keep" }, call);
    const deadline = Date.now() + 5000;
    for (let written = false; !written; ) {
      written = await store.append([{ entity, ts: 9000, values: { a: "again" } }], call).then(
        () => true,
        () => false,
      );
      expect(Date.now()).toBeLessThan(deadline);
    }
    expect(store.health().state).toBe("up");
    expect((await read(store, "a")).map(({ ts }) => ts)).toEqual([
      ...Array.from({ length: 50 }, (_, at) => acknowledged - 50 + at),
      9000,
    ]);
    await store[Symbol.asyncDispose]();
  });

  it("opens again by itself when its worker is gone, and goes on with series it has known", async () => {
    const workers: Worker[] = [];
    const watch = (worker: Worker) => workers.push(worker);
    process.on("worker", watch);
    const store = await open(configOf());
    const append = (ts: number) => store.append([{ entity, ts, values: { a: ts, b: `text ${ts}` } }], call);
    await append(1);
    const waiting = append(2);
    await workers[0]?.terminate();
    await waiting.catch((error) => expect(error).toMatchObject({ code: "timeseries.unavailable" }));
    expect(store.health()).toMatchObject({ state: "down" });
    await expect(append(3)).rejects.toMatchObject({ code: "timeseries.unavailable" });
    await expect(store.latest(entity, "all", call)).rejects.toMatchObject({ code: "timeseries.unavailable" });
    await vi.waitFor(() => expect(store.health().state).not.toBe("down"), 5_000);
    await append(4);
    expect(store.health()).toEqual({ state: "up" });
    expect(workers).toHaveLength(2);
    expect((await read(store, "b")).filter(({ ts }) => ts !== 2).map(({ value }) => value)).toEqual([
      "text 1",
      "text 4",
    ]);
    process.off("worker", watch);
    await store[Symbol.asyncDispose]();
  });

  it("gives one promise to the calls of a batch and refuses what exceeds the bound", async () => {
    const store = await open(configOf({ pendingBytes: 10_000 }));
    const sample = (ts: number) => [{ entity, ts, values: { a: ts } }];
    const made = Array.from({ length: 10 }, (_, ts) => store.append(sample(ts), call));
    expect(new Set(made).size).toBe(1);
    await made[0];
    const outcomes = await Promise.allSettled(Array.from({ length: 1000 }, (_, ts) => store.append(sample(ts), call)));
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.reason).toMatchObject({ code: "timeseries.exhausted", kind: "exhausted" });
    await store.append(sample(5000), call);
    expect((await read(store, "a")).length).toBe(1000 - refused.length + 1);
    await store[Symbol.asyncDispose]();
  });
});
