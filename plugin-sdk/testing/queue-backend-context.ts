import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import {
  type BatchFault,
  type InRecord,
  isFault,
  type OutRecord,
  type PartitionReader,
  type QueueBackend,
  type ReadBatch,
} from "../src/index.ts";

export type TestedQueue = QueueBackend & AsyncDisposable;

export interface QueueKit {
  /** A running queue in a namespace of its own. */
  create(): Promise<TestedQueue>;
  readonly supports: {
    /** Off: `settle` with `retryInMs` is fault `queue.no-delayed-retry`, and changes nothing. */
    readonly delayedRetry: boolean;
    /** On: `reopen` must be given. */
    readonly survivesRestart: boolean;
    /** On: the queue has `lag`. */
    readonly lag?: boolean;
  };
  /** Stops the queue and starts it again over what it has stored. */
  reopen?(queue: TestedQueue): Promise<TestedQueue>;
  /** Makes the queue unreachable for the client, and reachable again. */
  readonly faults?: { disconnect(): Promise<void>; reconnect(): Promise<void> };
  /** How long a record may take to be seen, ms; default 200. A test that proves absence waits this long. */
  readonly quietMs?: number;
}

export interface QueueContext extends AsyncDisposable {
  readonly kit: QueueKit;
  queue: TestedQueue;
  readonly quietMs: number;
}

export const soon = (ms = 10_000) => ({ signal: AbortSignal.timeout(ms) });
export const at = (group: string, partition = 0) => ({ topic: "jobs", group, partition });
export const text = (record: InRecord) => Buffer.from(record.body).toString();
export const job = (name: string, partition = 0): OutRecord => ({
  partition,
  key: `key-${partition}`,
  body: Buffer.from(name),
});
export const jobs = (count: number, partition = 0, prefix = "job") =>
  Array.from({ length: count }, (_, i) => job(`${prefix}-${i}`, partition));
export const names = (records: readonly OutRecord[]) => records.map((record) => Buffer.from(record.body).toString());

/** Reads and settles until it has `count` records. */
export async function take(reader: PartitionReader, count: number, max = 100): Promise<InRecord[]> {
  const taken: InRecord[] = [];
  while (taken.length < count) {
    const batch = await reader.read(Math.min(max, count - taken.length), soon());
    taken.push(...batch.records);
    await batch.settle(batch.records.length, soon());
  }
  return taken;
}

/** Reads without settling until a batch holds `count` records, giving shorter ones back. */
export async function hold(reader: PartitionReader, count: number): Promise<ReadBatch> {
  for (;;) {
    const batch = await reader.read(count, soon());
    if (batch.records.length === count) return batch;
    await batch.settle(0, soon());
    await pause(5);
  }
}

/** Proves that there is nothing to read for a while. */
export async function quiet(reader: PartitionReader, ms: number): Promise<void> {
  const stop = AbortSignal.timeout(ms);
  const outcome = await reader.read(1, { signal: stop }).then(
    (batch) => batch.records.map(text),
    (reason: unknown) => (reason === stop.reason ? [] : Promise.reject(reason)),
  );
  assert.deepEqual(outcome, [], "a record came that should not have");
}

export async function refused(work: Promise<unknown> | (() => unknown), code: string): Promise<void> {
  const outcome = await Promise.resolve(typeof work === "function" ? (async () => work())() : work).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(isFault(outcome), `expected fault ${code}, got ${String(outcome)}`);
  assert.equal(outcome.code, code);
}

/** Indexes of a send that a rejection leaves unsure: those it names, or all when it names none. */
export function unsure(reason: unknown, count: number): ReadonlySet<number> {
  const failures = isFault(reason) ? (reason as BatchFault).failures : undefined;
  const indexes = failures?.map(({ index }) => index) ?? Array.from({ length: count }, (_, i) => i);
  for (const index of indexes) assert.ok(index >= 0 && index < count, `index ${index} of ${count}`);
  return new Set(indexes);
}
