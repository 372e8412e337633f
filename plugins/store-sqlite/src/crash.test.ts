import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import { realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SqliteAttributes } from "./sqlite-attributes.ts";
import { SqliteEntities } from "./sqlite-entities.ts";
import { type StoreConfig, StoreFile } from "./store-file.ts";

const child = fileURLToPath(new URL("../testing/crash-child.ts", import.meta.url));
const call = { signal: new AbortController().signal };
const entity = { entityType: "DEVICE", id: "crash" };
const spec = { name: "crash", id: "id", indexes: [["n"]] } as const;
interface Doc {
  readonly id: string;
  readonly n: number;
  readonly text?: string;
}

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-store-"));
});
afterEach(() => rm(folder, { recursive: true }));

const batches: number[] = [];
const metric = { record: () => undefined };
const parts = {
  world: realWorld(),
  log: silentLog,
  metrics: {
    commitSeconds: metric,
    batchWrites: { record: (writes: number) => batches.push(writes) },
    waitingCalls: metric,
  },
};
const fileWith = (more: Partial<StoreConfig> = {}) =>
  new StoreFile({ file: join(folder, "entities.db"), maxCalls: 1000, cacheBytes: 10_000, ...more }, parts);

async function runAndKill(first: number, acknowledgements: number): Promise<number> {
  const args = ["--conditions=source", "--import", "tsx", child, join(folder, "entities.db"), String(first)];
  const running = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  running.stdout.on("data", (data) => {
    said += data;
    if (said.split("\n").length > acknowledgements) running.kill("SIGKILL");
  });
  await new Promise((resolve) => running.on("close", resolve));
  return Number(said.slice(0, said.lastIndexOf("\n")).split("\n").at(-1));
}

describe("store-sqlite and trouble", () => {
  it("keeps every acknowledged write through kill -9, round after round", { timeout: 60_000 }, async () => {
    let first = 0;
    for (const acknowledgements of [50, 400, 150]) {
      const last = await runAndKill(first, acknowledgements);
      expect(last).toBeGreaterThan(first);
      const file = fileWith();
      const docs = new SqliteEntities(file).collection<Doc>(spec);
      await file.start(call.signal);
      const { total } = await docs.find({ where: { n: { gte: 0, lt: last + 1 } }, limit: 1 }, call);
      expect(total).toBe(last + 1);
      const [attribute] = await new SqliteAttributes(file).get(entity, "SERVER_SCOPE", ["n"], call);
      expect(attribute?.value).toBeGreaterThanOrEqual(last);
      first = (await docs.find({ limit: 1 }, call)).total;
      await file.stop();
    }
  });

  it("lets the writes that arrive together share a commit", async () => {
    const file = fileWith();
    const docs = new SqliteEntities(file).collection<Doc>(spec);
    await file.start(call.signal);
    batches.length = 0;
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => docs.put([{ value: { id: `d${n}`, n }, expect: "absent" }], call)),
    );
    expect(Math.max(...batches)).toBeGreaterThan(20);
    await file.stop();
  });

  it("refuses a file that another owner has, and says so", async () => {
    const file = fileWith();
    await file.start(call.signal);
    const second = fileWith();
    await expect(second.start(call.signal)).rejects.toMatchObject({
      code: "store.locked",
      message: expect.stringContaining("in use by another process"),
    });
    expect(second.health().state).toBe("down");
    await file.stop();
    await second.start(call.signal);
    await second.stop();
  });

  it("refuses writes on a full disk, loses nothing acknowledged, reads on, and recovers when there is room", async () => {
    const file = fileWith({ maxBytes: 400_000 });
    const docs = new SqliteEntities(file).collection<Doc>(spec);
    await file.start(call.signal);
    let acknowledged = 0;
    const fill = async () => {
      for (let n = 0; n < 1000; n++) {
        await docs.put([{ value: { id: `d${n}`, n, text: "x".repeat(2000) }, expect: "absent" }], call);
        acknowledged++;
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: "store.unavailable", kind: "unavailable" });
    expect(file.health().state).toBe("degraded");
    expect(acknowledged).toBeGreaterThan(50);
    expect((await docs.find({ limit: 1 }, call)).total).toBe(acknowledged);
    expect(await docs.remove(["d1", "d2", "d3", "d4", "d5"], call)).toBe(5);
    await docs.put([{ value: { id: "again", n: 1 }, expect: "absent" }], call);
    expect(file.health().state).toBe("up");
    await file.stop();
  });

  it("opens again by itself when its worker is gone, with collections that came meanwhile", async () => {
    const workers: Worker[] = [];
    const watch = (worker: Worker) => workers.push(worker);
    process.on("worker", watch);
    const file = fileWith();
    const entities = new SqliteEntities(file);
    const docs = entities.collection<Doc>(spec);
    await file.start(call.signal);
    await docs.put([{ value: { id: "a", n: 1 }, expect: "absent" }], call);
    const waiting = docs.find({ limit: 1 }, call);
    await workers[0]?.terminate();
    await waiting.catch((error) => expect(error).toMatchObject({ code: "store.unavailable" }));
    expect(file.health()).toMatchObject({ state: "down" });
    const refused = docs.put([{ value: { id: "b", n: 2 }, expect: "absent" }], call);
    await expect(refused).rejects.toMatchObject({ code: "store.unavailable", kind: "unavailable" });
    const later = entities.collection<Doc>({ name: "later", id: "id", indexes: [] });
    await vi.waitFor(() => expect(file.health().state).not.toBe("down"), 5_000);
    await later.put([{ value: { id: "c", n: 3 }, expect: "absent" }], call);
    expect((await docs.find({ limit: 9 }, call)).items.map(({ value }) => value.id)).toEqual(["a"]);
    expect(file.health()).toEqual({ state: "up" });
    process.off("worker", watch);
    await file.stop();
  });

  it("fills the columns of fields that a newer version indexes", async () => {
    const before = fileWith();
    const old = new SqliteEntities(before).collection<Doc>({ name: "crash", id: "id", indexes: [] });
    await before.start(call.signal);
    await old.put([{ value: { id: "a", n: 7, text: "Ärger" }, expect: "absent" }], call);
    await before.stop();
    const after = fileWith();
    const docs = new SqliteEntities(after).collection<Doc>({ ...spec, indexes: [["n"], ["text"]] });
    await after.start(call.signal);
    expect((await docs.find({ where: { n: 7 }, search: { text: "ÄR", fields: ["text"] }, limit: 9 }, call)).total).toBe(
      1,
    );
    await after.stop();
  });
});
