import {
  abortable,
  type CallOptions,
  type InRecord,
  onAbort,
  type PartitionReader,
  type ReadBatch,
  type World,
} from "@heddle/plugin-sdk";
import type { Cursor, Lease, Part, Partition, TailRun } from "./catalog.ts";
import { fault } from "./faults.ts";

/** A batch ends after this many bytes, however many records were asked for. */
const batchBytes = 4 * 1024 * 1024;

/** What a reader needs of the queue. */
export interface ReaderHost {
  readonly world: World;
  /** Records of a part from `from` on, at most about `bytes`. */
  load(part: Part, from: number, limit: { readonly records: number; readonly bytes: number }): Promise<InRecord[]>;
  /** The cursor has moved. */
  moved(cursor: Cursor): void;
}

export class CursorReader implements PartitionReader, Lease {
  readonly #cursor: Cursor;
  readonly #host: ReaderHost;
  #state: "idle" | "reading" | "unsettled" | "closed" = "idle";
  #batch: Batch | undefined;
  #wake: (() => void) | undefined;

  constructor(cursor: Cursor, host: ReaderHost) {
    this.#cursor = cursor;
    this.#host = host;
    cursor.leases.push(this);
  }

  async read(max: number, { signal }: CallOptions): Promise<ReadBatch> {
    signal.throwIfAborted();
    this.#refuse();
    this.#state = "reading";
    try {
      let records = this.#fromTail(max);
      while (records === undefined) {
        records = await abortable(this.#fromDisk(max), signal);
        if (this.#isClosed()) throw this.#closedFault();
        if (records === undefined) await this.#change(signal);
        if (this.#isClosed()) throw this.#closedFault();
        records ??= this.#fromTail(max);
      }
      this.#batch = new Batch(this.#counted(records), this.#cursor, (pauseMs) => this.#settled(pauseMs));
      this.#state = "unsettled";
      return this.#batch;
    } finally {
      if (this.#state === "reading") this.#state = "idle";
    }
  }

  wake(): void {
    this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed()) return;
    this.#state = "closed";
    this.#batch?.abandon();
    this.#batch = undefined;
    this.#cursor.leases.splice(this.#cursor.leases.indexOf(this), 1);
    this.wake();
    this.#cursor.leases[0]?.wake();
  }

  #refuse(): void {
    const { group, partition } = this.#cursor;
    if (this.#isClosed()) throw this.#closedFault();
    if (this.#state !== "idle") {
      const where = `${group.name} of ${partition.topic.name}/${partition.index}`;
      throw fault("queue.unsettled", `${where} has a read or a batch in progress; settle it first`);
    }
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #closedFault() {
    const { group, partition } = this.#cursor;
    return fault(
      "queue.reader-closed",
      `the reader of ${group.name} in ${partition.topic.name}/${partition.index} is closed`,
    );
  }

  /** Whether this reader holds the lease and the retry pause is over. */
  #mayRead(): boolean {
    return this.#cursor.leases[0] === this && this.#cursor.notBefore <= this.#host.world.elapsed();
  }

  #fromTail(max: number): readonly InRecord[] | undefined {
    const { partition, settled } = this.#cursor;
    if (!this.#mayRead() || settled >= partition.next) return undefined;
    let index = runIndex(partition, settled);
    const first = index < 0 ? undefined : partition.tail.at(index);
    if (first === undefined) return undefined;
    if (settled === first.first && first.records.length >= max) {
      return first.records.length === max ? first.records : first.records.slice(0, max);
    }
    const records: InRecord[] = [];
    let bytes = 0;
    for (
      let run: TailRun | undefined = first;
      run !== undefined && bytes < batchBytes;
      run = partition.tail.at(index)
    ) {
      for (let i = run === first ? settled - run.first : 0; i < run.records.length && records.length < max; i += 1) {
        records.push(run.records[i] as InRecord);
      }
      if (records.length === max) break;
      bytes += run.bytes;
      index += 1;
    }
    return records;
  }

  async #fromDisk(max: number): Promise<readonly InRecord[] | undefined> {
    const { partition, settled } = this.#cursor;
    if (!this.#mayRead() || settled >= partition.next) return undefined;
    const part = partition.parts.find(({ next }) => next > settled);
    if (part === undefined) return undefined;
    const from = Math.max(settled, part.firsts[0] as number);
    const records = await this.#host.load(part, from, { records: max, bytes: batchBytes });
    return records.length === 0 ? undefined : records;
  }

  /** Until there may be something new: a record, the lease, the end of a pause, disposal. */
  #change(signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const { world } = this.#host;
      const pause = this.#cursor.notBefore - world.elapsed();
      const timer = pause > 0 ? world.timer(pause, () => this.wake()) : undefined;
      const end = (then: () => void) => () => {
        this.#wake = undefined;
        timer?.[Symbol.dispose]();
        forget();
        then();
      };
      let forget = () => {};
      this.#wake = end(resolve);
      forget = onAbort(
        signal,
        end(() => reject(signal.reason)),
      );
    });
  }

  #counted(records: readonly InRecord[]): readonly InRecord[] {
    const { attempts } = this.#cursor;
    if (attempts.size === 0) return records;
    return records.map((record) => {
      const before = attempts.get(Number(record.position));
      return before === undefined ? record : { ...record, attempt: before + 1 };
    });
  }

  #settled(pauseMs: number): void {
    this.#cursor.notBefore = pauseMs > 0 ? this.#host.world.elapsed() + pauseMs : 0;
    this.#batch = undefined;
    this.#state = "idle";
    this.#host.moved(this.#cursor);
  }
}

class Batch implements ReadBatch {
  readonly records: readonly InRecord[];
  readonly #cursor: Cursor;
  readonly #settled: (pauseMs: number) => void;
  #open = true;

  constructor(records: readonly InRecord[], cursor: Cursor, settled: (pauseMs: number) => void) {
    this.records = records;
    this.#cursor = cursor;
    this.#settled = settled;
  }

  async settle(done: number, call: CallOptions & { readonly retryInMs?: number }): Promise<void> {
    const { records } = this;
    if (!this.#open || !Number.isInteger(done) || done < 0 || done > records.length) {
      const state = this.#open ? `holds ${records.length} records` : "was settled or given up before";
      throw fault("queue.settle", `cannot settle ${done} records: the batch ${state}`);
    }
    this.#open = false;
    const last = records[done - 1];
    if (last !== undefined) {
      const { attempts } = this.#cursor;
      if (attempts.size > 0) for (let i = 0; i < done; i += 1) attempts.delete(Number(records[i]?.position));
      this.#cursor.settled = Number(last.position) + 1;
    }
    this.#comeAgain(done);
    this.#settled(done < records.length ? (call.retryInMs ?? 0) : 0);
  }

  /** The reader is gone: what it had comes again, to the next one. */
  abandon(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#comeAgain(0);
  }

  #comeAgain(from: number): void {
    for (let i = from; i < this.records.length; i += 1) {
      const { position, attempt } = this.records[i] as InRecord;
      this.#cursor.attempts.set(Number(position), attempt);
    }
  }
}

/** Index of the run in memory that holds `position`; -1 when memory begins later. */
function runIndex({ tail }: Partition, position: number): number {
  let low = 0;
  let high = tail.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((tail.at(middle) as TailRun).first <= position) low = middle;
    else high = middle - 1;
  }
  return (tail.at(low)?.first ?? Number.POSITIVE_INFINITY) <= position ? low : -1;
}
