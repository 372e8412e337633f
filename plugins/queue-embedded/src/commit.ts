import { type InRecord, type OutRecord, onAbort } from "@heddle/plugin-sdk";
import type { Partition, TailRun } from "./catalog.ts";
import { encodeHeaders, entryHeadBytes, kinds, recordHeadBytes, type Stamp, sealEntry } from "./entry.ts";

/** A run is the unit of a read from disk, so it must not grow with the commit. */
const runBytes = 256 * 1024;

interface Waiter {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  readonly forget: () => void;
}

/** What one partition adds to a commit; the arrays go together. */
interface Share {
  readonly partition: Partition;
  readonly records: OutRecord[];
  readonly sentAt: number[];
  bytes: number;
}

export interface EncodedRun extends TailRun {
  /** From the beginning of the encoded commit. */
  readonly offset: number;
  readonly end: number;
  readonly sentAt: number;
}

/** Bytes a record takes in a run. */
export function recordBytes(record: OutRecord): number {
  const headers = record.headers === undefined ? 0 : Buffer.byteLength(encodeHeaders(record.headers));
  return recordHeadBytes + Buffer.byteLength(record.key) + headers + record.body.byteLength;
}

/** The records that become durable together: one write, one sync, one promise per signal. */
export class Commit {
  readonly #shares = new Map<Partition, Share>();
  readonly #waiters = new Map<AbortSignal, Waiter>();
  bytes = 0;
  records = 0;

  add(partition: Partition, record: OutRecord, at: { readonly bytes: number; readonly sentAt: number }): void {
    let share = this.#shares.get(partition);
    if (share === undefined) {
      share = { partition, records: [], sentAt: [], bytes: 0 };
      this.#shares.set(partition, share);
    }
    share.records.push(record);
    share.sentAt.push(at.sentAt);
    share.bytes += at.bytes;
    this.bytes += at.bytes;
    this.records += 1;
  }

  /** Resolves when the commit is durable; rejects early when the signal aborts. */
  outcome(signal: AbortSignal): Promise<void> {
    const known = this.#waiters.get(signal);
    if (known !== undefined) return known.promise;
    let settle: Pick<Waiter, "resolve" | "reject"> | undefined;
    const promise = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    const { resolve, reject } = settle as Pick<Waiter, "resolve" | "reject">;
    const forget = onAbort(signal, () => reject(signal.reason));
    this.#waiters.set(signal, { promise, resolve, reject, forget });
    return promise;
  }

  finish(problem?: unknown): void {
    for (const { resolve, reject, forget } of this.#waiters.values()) {
      forget();
      if (problem === undefined) resolve();
      else reject(problem);
    }
  }

  /** The commit as it goes to disk, and its runs as readers get them; their bodies are views of the buffer. */
  encode(stamp: Stamp): { readonly buffer: Buffer; readonly runs: EncodedRun[] } {
    let room = 0;
    for (const { bytes } of this.#shares.values()) room += bytes + entryHeadBytes * (2 + Math.floor(bytes / runBytes));
    const buffer = Buffer.allocUnsafeSlow(room);
    const runs: EncodedRun[] = [];
    let at = 0;
    for (const share of this.#shares.values()) {
      let first = share.partition.next;
      for (let from = 0; from < share.records.length; ) {
        const run = encodeRun(buffer, at, { share, from, first, stamp });
        runs.push(run);
        from += run.records.length;
        first = run.next;
        at = run.end;
      }
    }
    return { buffer: buffer.subarray(0, at), runs };
  }
}

function encodeRun(
  buffer: Buffer,
  offset: number,
  what: { readonly share: Share; readonly from: number; readonly first: number; readonly stamp: Stamp },
): EncodedRun {
  const { partition, records: sent, sentAt: times } = what.share;
  const sentAt = times[what.from] as number;
  const records: InRecord[] = [];
  let at = offset + entryHeadBytes;
  const full = at + runBytes;
  for (let i = what.from; i < sent.length && at < full; i += 1) {
    const { key, body, headers } = sent[i] as OutRecord;
    const later = Math.max(0, (times[i] as number) - sentAt);
    const keyBytes = buffer.write(key, at + recordHeadBytes);
    let bodyAt = at + recordHeadBytes + keyBytes;
    const text = encodeHeaders(headers);
    const headerBytes = text === "" ? 0 : buffer.write(text, bodyAt);
    bodyAt += headerBytes;
    buffer.set(body, bodyAt);
    buffer.writeUInt32LE(keyBytes, at);
    buffer.writeUInt32LE(headerBytes, at + 4);
    buffer.writeUInt32LE(body.byteLength, at + 8);
    buffer.writeUInt32LE(later, at + 12);
    const record = {
      partition: partition.index,
      key,
      body: new Uint8Array(buffer.buffer, bodyAt, body.byteLength),
      position: String(what.first + records.length),
      attempt: 1,
      sentAt: sentAt + later,
    };
    records.push(text === "" ? record : { ...record, headers: { ...headers } });
    at = bodyAt + body.byteLength;
  }
  const head = {
    topic: partition.topic.id,
    partition: partition.index,
    count: records.length,
    first: what.first,
    sentAt,
  };
  sealEntry(buffer, offset, at, { kind: kinds.run, ...head, ...what.stamp });
  const next = what.first + records.length;
  return { partition, first: what.first, next, bytes: at - offset, records, offset, end: at, sentAt };
}
