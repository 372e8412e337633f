import { crc32 } from "node:zlib";
import { isFault, type PartitionReader } from "@heddle/plugin-sdk";
import {
  type Disk,
  ModelledDisk,
  type SteppedWorld,
  seededRandom,
  silentLog,
  steppedWorld,
} from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { type OpenQueue, openQueue } from "./open-queue.ts";

const seeds = Number(process.env["POWER_CUT_SEEDS"] ?? 100);
const first = Number(process.env["POWER_CUT_SEED"] ?? 1);
const partitions = 3;
const call = { signal: new AbortController().signal };
const limits = {
  segmentBytes: 6_000,
  tailBytes: 4_000,
  pendingBytes: 20_000,
  recordBytes: 5_000,
  positionDelayMs: 100,
};
const meter = { commit() {}, sizes() {} };

/** What all lives did together: a run that does nothing proves nothing. */
const tally = new Map<string, number>();

type Wrap = (disk: ModelledDisk) => Disk;

/** What the test knows: records are numbered per partition in the order of their sends. */
interface Ledger {
  readonly sent: number[];
  readonly acknowledged: Set<number>[];
  readonly settled: number[];
  /** With it, a group that settles nothing keeps every segment, and a new one in each life reads them all. */
  readonly audited: boolean;
}

const newLedger = (audited: boolean): Ledger => ({
  audited,
  sent: Array.from({ length: partitions }, () => 0),
  acknowledged: Array.from({ length: partitions }, () => new Set<number>()),
  settled: Array.from({ length: partitions }, () => 0),
});

const numberOf = (body: Uint8Array) => Number.parseInt(Buffer.from(body).toString(), 10);

/** Runs a few lives of the queue on one disk, each ended by a power cut; returns what went wrong, or nothing. */
async function live(seed: number, wrap: Wrap): Promise<string | undefined> {
  const random = seededRandom(seed);
  const world = steppedWorld(seed);
  const ledger = newLedger(seed % 2 === 0);
  let disk = new ModelledDisk();
  const count = (name: string) => tally.set(name, (tally.get(name) ?? 0) + (disk.calls.get(name) ?? 0));
  const lives = 2 + Math.floor(random() * 3);
  for (let life = 0; life <= lives; life += 1) {
    let queue: OpenQueue | undefined;
    let failed: unknown;
    if (life < lives) disk.callsLeft = 4 + Math.floor(random() * 120);
    if (random() < 0.3) disk.spaceBytes = Math.floor(random() * 12_000);
    openQueue({ disk: wrap(disk), world, log: silentLog, limits, meter }, call.signal).then(
      (opened) => {
        queue = opened;
      },
      (reason: unknown) => {
        failed = reason;
      },
    );
    await world.settle();
    if (failed !== undefined) return `life ${life} did not start: ${String(failed)}`;
    if (life === lives) disk.spaceBytes = Number.POSITIVE_INFINITY;
    if (queue !== undefined) {
      const wrong = await check(queue, ledger, world);
      if (wrong !== undefined && !disk.isOff) return `life ${life}: ${wrong}`;
      if (life < lives) await work(queue, { ledger, world, disk, random });
    } else if (!disk.isOff) return `life ${life} hangs at the start`;
    for (const name of disk.calls.keys()) count(name);
    disk = disk.restart(seed * 100 + life);
  }
  for (const set of ledger.acknowledged) tally.set("acknowledged", (tally.get("acknowledged") ?? 0) + set.size);
  return undefined;
}

/** Nothing acknowledged is missing for a group that has settled nothing, nor for one beyond what it has settled. */
async function check(queue: OpenQueue, ledger: Ledger, world: SteppedWorld): Promise<string | undefined> {
  void queue.ensure([{ name: "t", partitions, retainMs: 3_600_000 }], call).catch(() => {});
  await world.settle();
  const audit = `audit-${ledger.sent.join("-")}`;
  if (ledger.audited) await queue.reader({ topic: "t", group: "keeper", partition: 0 })[Symbol.asyncDispose]();
  for (let partition = 0; partition < partitions; partition += 1) {
    for (const group of ledger.audited ? [audit, "work"] : ["work"]) {
      const from = group === "work" ? (ledger.settled[partition] as number) : 0;
      const seen = await readAll(queue.reader({ topic: "t", group, partition }), world);
      if (typeof seen === "string") return `${group} of ${partition}: ${seen}`;
      const sorted = [...seen].sort((a, b) => a - b);
      if (seen.some((n, i) => n !== sorted[i])) return `${group} of ${partition}: out of order: ${seen.join()}`;
      const missing = [...(ledger.acknowledged[partition] ?? [])].filter((n) => n >= from && !seen.includes(n));
      if (missing.length > 0) return `${group} of ${partition}: ${missing.join()} acknowledged, read ${seen.join()}`;
      if (group === "work") ledger.settled[partition] = Math.max(from, ...seen.map((n) => n + 1));
    }
  }
  return undefined;
}

/** Reads and settles all there is; a text when reading fails. */
async function readAll(reader: PartitionReader, world: SteppedWorld): Promise<number[] | string> {
  const seen: number[] = [];
  let problem: string | undefined;
  const stop = new AbortController();
  const reading = async () => {
    for (;;) {
      const batch = await reader.read(50, { signal: stop.signal });
      seen.push(...batch.records.map(({ body }) => numberOf(body)));
      await batch.settle(batch.records.length, call);
    }
  };
  reading().catch((reason: unknown) => {
    if (isFault(reason)) problem = reason.message;
  });
  for (let before = -1; before < seen.length; ) {
    before = seen.length;
    await world.settle();
  }
  stop.abort();
  await reader[Symbol.asyncDispose]();
  return problem ?? seen;
}

interface Worker {
  readonly ledger: Ledger;
  readonly world: SteppedWorld;
  readonly disk: ModelledDisk;
  readonly random: () => number;
}

/** Sends, settles, waits and breaks the disk until the power goes. */
async function work(queue: OpenQueue, { ledger, world, disk, random }: Worker): Promise<void> {
  const pick = (n: number) => Math.floor(random() * n);
  const readers = Array.from({ length: partitions }, (_, p) =>
    queue.reader({ topic: "t", group: "work", partition: p }),
  );
  for (let step = 0; step < 400 && !disk.isOff; step += 1) {
    const dice = random();
    if (dice < 0.55)
      sendSome(queue, ledger, {
        partition: pick(partitions),
        count: 1 + pick(4),
        bytes: pick(random() < 0.1 ? 3_000 : 200),
      });
    else if (dice < 0.8) settleSome(readers, ledger, { partition: pick(partitions), max: 1 + pick(6), keep: pick(2) });
    else if (dice < 0.97) await world.pass(pick(400));
    else if (random() < 0.5) disk.failingSyncs = 1;
    else disk.spaceBytes = random() < 0.5 ? pick(3_000) : Number.POSITIVE_INFINITY;
    if (random() < 0.5) await world.settle();
  }
  disk.cut();
}

function sendSome(queue: OpenQueue, ledger: Ledger, what: { partition: number; count: number; bytes: number }): void {
  const numbers = Array.from({ length: what.count }, () => {
    const next = ledger.sent[what.partition] as number;
    ledger.sent[what.partition] = next + 1;
    return next;
  });
  const records = numbers.map((n) => ({
    partition: what.partition,
    key: `k${n}`,
    body: Buffer.from(`${n} ${"x".repeat(what.bytes)}`),
  }));
  queue.send("t", records, call).then(
    () => {
      for (const n of numbers) ledger.acknowledged[what.partition]?.add(n);
    },
    (reason: unknown) => {
      if (!isFault(reason) || !reason.retryable) throw reason;
    },
  );
}

function settleSome(
  readers: readonly PartitionReader[],
  ledger: Ledger,
  what: { partition: number; max: number; keep: number },
): void {
  const stop = new AbortController();
  setImmediate(() => stop.abort());
  readers[what.partition]?.read(what.max, { signal: stop.signal }).then(
    async (batch) => {
      const done = Math.max(0, batch.records.length - what.keep);
      const last = batch.records[done - 1];
      await batch.settle(done, call);
      if (last === undefined) return;
      ledger.settled[what.partition] = Math.max(ledger.settled[what.partition] as number, numberOf(last.body) + 1);
    },
    (reason: unknown) => {
      if (reason !== stop.signal.reason && !isFault(reason)) throw reason;
    },
  );
}

/** Cures the checksums of whatever is on the disk, as if nobody looked at them. */
const withoutChecksums: Wrap = (disk) => ({
  ...plain(disk),
  open: async (name, mode) => {
    const file = await disk.open(name, mode);
    return {
      ...file,
      read: async (into, offset) => {
        const got = await file.read(into, offset);
        const bytes = Buffer.from(into.buffer, into.byteOffset, got);
        for (let at = 0; at + 48 <= got && bytes.readUInt32LE(at) === 0x31514448; ) {
          const end = at + 48 + bytes.readUInt32LE(at + 4);
          if (end > got) break;
          bytes.writeUInt32LE(crc32(bytes.subarray(at + 12, end)), at + 8);
          at = end;
        }
        return got;
      },
    };
  },
});

const plain = (disk: ModelledDisk): Disk => ({
  list: () => disk.list(),
  open: (name, mode) => disk.open(name, mode),
  remove: (name) => disk.remove(name),
  syncDirectory: () => disk.syncDirectory(),
});

const planted: Record<string, Wrap> = {
  "acknowledges before the sync": (disk) => ({
    ...plain(disk),
    open: async (name, mode) => ({ ...(await disk.open(name, mode)), datasync: async () => {} }),
  }),
  "does not look at checksums": withoutChecksums,
  "does not sync the directory": (disk) => ({ ...plain(disk), syncDirectory: async () => {} }),
  "tries a failed sync again and believes it": (disk) => ({
    ...plain(disk),
    open: async (name, mode) => {
      const file = await disk.open(name, mode);
      return { ...file, datasync: () => file.datasync().catch(() => file.datasync()) };
    },
  }),
};

describe("after a power cut", () => {
  it(`nothing acknowledged is lost and the order holds, seeds ${first} to ${first + seeds - 1}`, async () => {
    for (let seed = first; seed < first + seeds; seed += 1) {
      const wrong = await live(seed, (disk) => disk);
      const again = `POWER_CUT_SEED=${seed} POWER_CUT_SEEDS=1 npx vitest run plugins/queue-embedded/src/power-cut.test.ts`;
      expect(wrong, `repeat with: ${again}`).toBeUndefined();
    }
    const least = { acknowledged: 20, datasync: 20, remove: 2, syncDirectory: 5, truncate: 1, read: 5 };
    for (const [name, perSeed] of Object.entries(least)) expect(tally.get(name), name).toBeGreaterThan(perSeed * seeds);
  }, 300_000);

  for (const [what, wrap] of Object.entries(planted)) {
    it(`the model finds a queue that ${what}`, async () => {
      let found: string | undefined;
      for (let seed = 1; seed <= 100 && found === undefined; seed += 1) found = await live(seed, wrap);
      expect(found).toBeDefined();
    }, 60_000);
  }
});
