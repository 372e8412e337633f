import { double, Json, type Sample, type Value } from "@heddle/plugin-sdk";
import { ModelledDisk, seededRandom } from "@heddle/plugin-sdk/testing";
import { brokenInside, modelledSqlite } from "@heddle/sqlite-driver/testing";
import { classify, type Database, type DatabasePlace } from "@heddle/sqlite-driver/worker";
import { beforeAll, describe, expect, it } from "vitest";
import { Appender } from "./appender.ts";
import type { PageAnswer } from "./reading.ts";
import type { Latest } from "./series.ts";
import { TimeseriesEngine } from "./timeseries-engine.ts";
import { kindOf, textOf } from "./values.ts";

const seeds = Number(process.env["POWER_CUT_SEEDS"] ?? 15);
const first = Number(process.env["POWER_CUT_SEED"] ?? 1);
/** Small, so that every life makes chunks, prunes the log and moves pages from SQLite's log into the file. */
const limits = { logPoints: 60, series: 1000 };
const checkpointPages = 12;
const ids = ["a", "b", "c"];
const keys = ["k", "l", "m"];

let sqlite: Awaited<ReturnType<typeof modelledSqlite>>;
beforeAll(async () => {
  sqlite = await modelledSqlite();
});

/** What all lives did together: a run that does nothing proves nothing. */
const tally = new Map<string, number>();
const count = (what: string, by = 1) => tally.set(what, (tally.get(what) ?? 0) + by);

const absent = "nothing";
const textOfValue = (value: Value) => `${kindOf(value)} ${typeof value === "number" ? value : textOf(value)}`;
const textOfStored = (kind: number, value: number | string) =>
  textOfValue(
    kind === 1 ? value === 1 : kind === 3 ? double(value as number) : kind === 5 ? new Json(`${value}`) : value,
  );

/** A series as it may be: after each state the acknowledged calls, and perhaps ones that were refused or not answered. */
class SeriesLedger {
  readonly points = new Map<number, Set<string>>();
  latest = new Set([absent]);

  put(ts: number, text: string, sure: boolean): void {
    const before = this.points.get(ts) ?? new Set([absent]);
    this.points.set(ts, sure ? new Set([text]) : before.add(text));
    const after = [...this.latest].map((one) =>
      one === absent || ts >= Number.parseInt(one, 10) ? `${ts} ${text}` : one,
    );
    this.latest = new Set(sure ? after : [...this.latest, ...after]);
  }

  remove({ from, to, latest }: { from: number; to: number; latest: "remove" | "keep" }, sure: boolean): void {
    for (const [ts, texts] of this.points)
      if (ts >= from && ts < to) this.points.set(ts, sure ? new Set([absent]) : texts.add(absent));
    if (latest === "keep") return;
    const after = [...this.latest].map((one) => {
      const ts = Number.parseInt(one, 10);
      return ts >= from && ts < to ? absent : one;
    });
    this.latest = new Set(sure ? after : [...this.latest, ...after]);
  }

  /** Why what is stored is none of what may be. */
  wrong(stored: ReadonlyMap<number, string>, latest: string): string | undefined {
    for (const [ts, texts] of this.points) {
      const now = stored.get(ts) ?? absent;
      if (!texts.has(now)) return `at ${ts} is ${now}, not ${[...texts].join(" or ")}`;
    }
    for (const ts of stored.keys()) if (!this.points.has(ts)) return `at ${ts} nothing was ever written`;
    return this.latest.has(latest) ? undefined : `latest is ${latest}, not ${[...this.latest].join(" or ")}`;
  }

  /** What a new life finds is final: doubts are over. */
  settle(stored: ReadonlyMap<number, string>, latest: string): void {
    for (const ts of this.points.keys()) this.points.set(ts, new Set([stored.get(ts) ?? absent]));
    this.latest = new Set([latest]);
  }
}

type Plant = (place: DatabasePlace) => DatabasePlace;

class Lives {
  readonly #random: () => number;
  readonly #plant: Plant;
  readonly #series = new Map<string, SeriesLedger>();
  #disk = new ModelledDisk();
  #database: Database | undefined;
  #time = 1000;

  constructor(seed: number, plant: Plant) {
    this.#random = seededRandom(seed);
    this.#plant = plant;
    for (const id of ids) for (const key of keys) this.#series.set(`${id}/${key}`, new SeriesLedger());
  }

  /** Runs a few lives of the store on one disk; returns what went wrong, or nothing. */
  async run(seed: number): Promise<string | undefined> {
    const lives = 3 + this.#pick(3);
    for (let life = 0; life <= lives; life++) {
      const disk = this.#disk;
      sqlite.mount(disk, seed * 100 + life);
      const engine = new TimeseriesEngine(this.#place(), limits);
      if (life < lives) disk.callsLeft = 30 + this.#pick(1200);
      const opened = await ask(engine, "open", undefined);
      if (opened.error !== undefined && !disk.isOff) return `life ${life} did not open: ${String(opened.error)}`;
      const wrong = disk.isOff ? undefined : await this.#checkStart(engine);
      if (wrong !== undefined && !disk.isOff) return `life ${life}: ${wrong}`;
      const broken = life < lives && !disk.isOff ? await this.#work(engine) : undefined;
      if (broken !== undefined) return `life ${life}: ${broken}`;
      for (const [name, calls] of disk.calls) count(name, calls);
      // A process that is killed leaves what the system has cached; the power goes later.
      this.#disk = this.#pick(5) === 0 && !disk.isOff ? disk.afterKill() : disk.restart(seed * 100 + life);
      await ask(engine, "close", undefined);
    }
    return undefined;
  }

  #place(): DatabasePlace {
    const place = this.#plant(sqlite.place({ checkpointPages }));
    return {
      open: () => {
        this.#database = place.open();
        return this.#database;
      },
      renewLog: () => place.renewLog(),
    };
  }

  async #checkStart(engine: TimeseriesEngine): Promise<string | undefined> {
    return brokenInside(this.#database as Database) ?? (await this.#check(engine, "final"));
  }

  async #check(engine: TimeseriesEngine, final?: "final"): Promise<string | undefined> {
    for (const entityId of ids) {
      const where = { entityType: "DEVICE", entityId };
      const latest = await ask(engine, "latest", { ...where, keys: "all" });
      if (latest.error !== undefined) return String(latest.error);
      const newest = new Map(
        (latest.value as { key: string; latest: Latest }[]).map(({ key, latest: { ts, kind, value } }) => [
          key,
          `${ts} ${textOfStored(kind, value)}`,
        ]),
      );
      for (const key of keys) {
        const query = { ...where, key, from: 0, to: 1e9, order: "asc", limit: 1e6, now: 0 };
        const { value, error } = await ask(engine, "page", query);
        if (error !== undefined) return String(error);
        const { ts, kinds, values } = value as PageAnswer;
        const stored = new Map(ts.map((at, i) => [at, textOfStored(kinds[i] as number, values[i] as number | string)]));
        if (stored.size !== ts.length) return `${entityId} ${key}: a time twice`;
        const ledger = this.#ledger(entityId, key);
        const wrong = ledger.wrong(stored, newest.get(key) ?? absent);
        if (wrong !== undefined) return `${entityId} ${key}: ${wrong}`;
        if (final !== undefined) ledger.settle(stored, newest.get(key) ?? absent);
      }
    }
    return undefined;
  }

  /** Writes, breaks and mends the disk until the power goes; returns what a healthy disk must not do. */
  async #work(engine: TimeseriesEngine): Promise<string | undefined> {
    const disk = this.#disk;
    const link = {
      send: async (op: string, arg: unknown) => {
        const { value, error } = await ask(engine, op, arg);
        if (error !== undefined) throw error;
        return value;
      },
    };
    const ignored = { elapsed: () => 0, committed: () => undefined };
    const appender = new Appender({ batchBytes: 2000, pendingBytes: 1e6, series: 12, link, ...ignored });
    const steps = 20 + this.#pick(60);
    for (let step = 0; step < steps && !disk.isOff; step++) {
      const dice = this.#random();
      if (dice < 0.03) disk.failingSyncs = 1 + this.#pick(3);
      else if (dice < 0.06) disk.spaceBytes = this.#pick(30_000);
      else if (dice < 0.1) mend(disk);
      const what = this.#random();
      const wrong =
        what < 0.8
          ? await this.#append(appender)
          : what < 0.9
            ? await this.#remove(engine)
            : what < 0.93
              ? await this.#forget(engine)
              : this.#verdict((await ask(engine, "tidy", 0)).error);
      if (wrong !== undefined) return wrong;
      const stale = !disk.isOff && this.#pick(8) === 0 ? await this.#check(engine) : undefined;
      if (stale !== undefined && !disk.isOff) return `reading on: ${stale}`;
    }
    if (disk.isOff) return undefined;
    mend(disk);
    const refused = tally.get("refused") ?? 0;
    const wrong = await this.#append(appender);
    return wrong ?? (tally.get("refused") === refused || disk.isOff ? undefined : "a mended disk is not written");
  }

  async #append(appender: Appender): Promise<string | undefined> {
    const calls = Array.from({ length: 1 + this.#pick(4) }, () => {
      const samples = Array.from({ length: 1 + this.#pick(this.#pick(6) === 0 ? 60 : 4) }, () => this.#sample());
      return { samples, done: appender.append(samples, 0) };
    });
    for (const { samples, done } of calls) {
      const error = await done.then(
        () => undefined,
        (reason: unknown) => reason ?? new Error("nothing said"),
      );
      const sure = error === undefined && !this.#disk.isOff;
      for (const { entity, ts, values } of samples)
        for (const key in values) this.#ledger(entity.id, key).put(ts, textOfValue(values[key] as Value), sure);
      if (sure) count("acknowledged", samples.length);
      const wrong = this.#verdict(error);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  async #remove(engine: TimeseriesEngine): Promise<string | undefined> {
    const from = 1000 + this.#pick(this.#time - 999);
    const to = from + this.#pick(80);
    const [entityId, key] = [this.#one(ids), this.#one(keys)];
    const removal = { from, to, latest: this.#pick(2) === 0 ? "remove" : "keep" } as const;
    const { error } = await ask(engine, "remove", { entityType: "DEVICE", entityId, keys: [key], ...removal });
    this.#ledger(entityId, key).remove(removal, error === undefined && !this.#disk.isOff);
    if (error === undefined) count("removed");
    return this.#verdict(error);
  }

  async #forget(engine: TimeseriesEngine): Promise<string | undefined> {
    const id = this.#one(ids);
    const { error } = await ask(engine, "forget", [{ entityType: "DEVICE", id }]);
    const all = { from: 0, to: 1e9, latest: "remove" } as const;
    for (const key of keys) this.#ledger(id, key).remove(all, error === undefined && !this.#disk.isOff);
    if (error === undefined) count("forgotten");
    return this.#verdict(error);
  }

  /** Times mostly grow; some come late, some twice. */
  #sample(): Sample {
    const late = this.#pick(4) === 0;
    const ts = late ? 1000 + this.#pick(this.#time - 999) : this.#time++;
    const values: Record<string, Value> = {};
    for (let n = this.#pick(3); n >= 0; n--) values[this.#one(keys)] = this.#value();
    return { entity: { entityType: "DEVICE", id: this.#one(ids) }, ts, values };
  }

  #value(): Value {
    const n = this.#pick(1000);
    return this.#one<Value>([n, double(n), n + 0.5, n % 2 === 0, `text ${"é".repeat(n % 50)}`, new Json(`{"n":${n}}`)]);
  }

  #verdict(error: unknown): string | undefined {
    if (error === undefined || this.#disk.isOff) return undefined;
    count("refused");
    const kind = classify(error);
    return kind === "disk" ? undefined : `refused as ${kind}: ${String(error)}`;
  }

  #ledger(id: string, key: string): SeriesLedger {
    return this.#series.get(`${id}/${key}`) as SeriesLedger;
  }

  #one<T>(from: readonly T[]): T {
    return from[this.#pick(from.length)] as T;
  }

  #pick(n: number): number {
    return Math.floor(this.#random() * n);
  }
}

const mend = (disk: ModelledDisk) => Object.assign(disk, { failingSyncs: 0, spaceBytes: Number.POSITIVE_INFINITY });

async function ask(engine: TimeseriesEngine, op: string, arg: unknown): Promise<{ value?: unknown; error?: unknown }> {
  let outcome: { value?: unknown; error?: unknown } | undefined;
  await engine.answer({
    op,
    arg,
    reply: (value) => {
      outcome = { value };
    },
    fail: (error) => {
      outcome = { error };
    },
  });
  if (outcome === undefined) throw new Error(`${op} is not answered`);
  return outcome;
}

/** A store that runs SQLite with other settings than it should. */
const withPragma =
  (sql: string): Plant =>
  (place) => ({
    ...place,
    open: () => {
      const database = place.open();
      database.exec(sql);
      return database;
    },
  });

const planted: Record<string, Plant> = {
  "syncs nothing": withPragma("PRAGMA synchronous = OFF"),
  "syncs at checkpoints only": withPragma("PRAGMA synchronous = NORMAL"),
  "believes a log whose sync failed": () => sqlite.place({ checkpointPages }, false),
};

describe("after a power cut", () => {
  it(`nothing acknowledged is lost, nothing removed is back, seeds ${first} to ${first + seeds - 1}`, async () => {
    for (let seed = first; seed < first + seeds; seed++) {
      const wrong = await new Lives(seed, (place) => place).run(seed);
      const again = `POWER_CUT_SEED=${seed} POWER_CUT_SEEDS=1 npx vitest run plugins/ts-sqlite/src/power-cut.test.ts`;
      expect(wrong, `repeat with: ${again}`).toBeUndefined();
    }
    const least = { acknowledged: 200, removed: 2, forgotten: 1, refused: 2, datasync: 50, write: 100, truncate: 0.1 };
    for (const [name, perSeed] of Object.entries(least)) expect(tally.get(name), name).toBeGreaterThan(perSeed * seeds);
  }, 300_000);

  for (const [what, plant] of Object.entries(planted)) {
    it(`the model finds a store that ${what}`, async () => {
      let found: string | undefined;
      for (let seed = 1; seed <= 100 && found === undefined; seed++) found = await new Lives(seed, plant).run(seed);
      expect(found).toBeDefined();
    }, 60_000);
  }
});
