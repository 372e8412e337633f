import {
  type CallOptions,
  type Fault,
  type InRecord,
  onAbort,
  type PartitionReader,
  type ReadBatch,
  type World,
} from "@heddle/plugin-sdk";
import type { KafkaMessage } from "kafkajs";
import { asKafkaFault, fault } from "./faults.ts";
import type { Cursor, Positions } from "./positions.ts";
import { recordOf } from "./record.ts";
import type { Sink, Source } from "./source.ts";

const openRetryMs = 500;
/** What a record takes in memory besides its key and body. */
const recordOverhead = 200;

export interface ReaderOptions {
  readonly world: World;
  readonly positions: Positions;
  readonly source: Source;
  readonly cursor: Cursor;
  readonly readAheadBytes: number;
  /** Disposing waits this long for Kafka to know the position. */
  readonly handOverMs: number;
  /** Resolves when the reader before this one, if there is one in this process, has given the partition up. */
  readonly turn: Promise<void>;
  closed(): void;
  /** The position could not be handed over: what was settled last comes again. */
  notHandedOver(error: unknown): void;
}

interface Held {
  readonly record: InRecord;
  readonly bytes: number;
}

/** A lease on one partition for one group. Begins to fetch with the first read, and holds at most `readAheadBytes` more. */
export class Reader implements PartitionReader, Sink {
  readonly partition: number;
  next = 0;
  readonly #options: ReaderOptions;
  readonly #held: Held[] = [];
  #heldBytes = 0;
  #paused = false;
  #state: "idle" | "reading" | "unsettled" | "closed" = "idle";
  #batch: { readonly records: readonly InRecord[] } | undefined;
  #opening: Promise<void> | undefined;
  #failure: Fault | undefined;
  #open = false;
  #notBefore = 0;
  #wake: (() => void) | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.partition = options.cursor.partition;
  }

  get full(): boolean {
    this.#paused = this.#heldBytes >= this.#options.readAheadBytes;
    return this.#paused;
  }

  push(messages: readonly KafkaMessage[], next: number): void {
    for (const message of messages) {
      const offset = Number(message.offset);
      if (offset < this.next) continue;
      const record = recordOf(message, this.partition);
      const bytes = recordOverhead + record.key.length + record.body.byteLength;
      this.#held.push({ record, bytes });
      this.#heldBytes += bytes;
    }
    this.next = Math.max(this.next, next);
    this.#wake?.();
  }

  async read(max: number, { signal }: CallOptions): Promise<ReadBatch> {
    signal.throwIfAborted();
    this.#refuse();
    this.#state = "reading";
    try {
      this.#failure = undefined;
      this.#opening ??= this.#begin();
      for (;;) {
        const batch = this.#take(max);
        if (batch !== undefined) return batch;
        await this.#change(signal);
        if (this.#isClosed()) throw this.#closedFault();
        if (this.#failure !== undefined) throw this.#failure;
      }
    } finally {
      if (this.#state === "reading") this.#state = "idle";
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed()) return;
    this.#state = "closed";
    this.#batch = undefined;
    this.#held.length = 0;
    const { source, positions, cursor, closed, notHandedOver, handOverMs } = this.#options;
    source.detach(this);
    this.#wake?.();
    try {
      if (this.#open) await positions.handOver(cursor, handOverMs);
    } catch (error) {
      notHandedOver(asKafkaFault(error, `handing over ${cursor.topic}/${cursor.partition} of ${cursor.group}`));
    } finally {
      closed();
    }
  }

  #refuse(): void {
    if (this.#isClosed()) throw this.#closedFault();
    if (this.#state === "idle") return;
    throw fault("queue.unsettled", `${this.#where} has a read or a batch in progress; settle it first`);
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  get #where(): string {
    const { group, topic, partition } = this.#options.cursor;
    return `the reader of ${group} in ${topic}/${partition}`;
  }

  #closedFault() {
    return fault("queue.reader-closed", `${this.#where} is closed`);
  }

  /** Finds where to begin, however long Kafka cannot be asked. */
  async #begin(): Promise<void> {
    const { world, positions, source, cursor, turn } = this.#options;
    await turn;
    while (!this.#isClosed()) {
      try {
        const found = (await positions.load(cursor.group, cursor.topic)).get(cursor.partition);
        if (this.#isClosed()) return;
        cursor.settled = found;
        cursor.committed = found;
        this.next = found ?? 0;
        this.#open = true;
        positions.opened(cursor);
        source.attach(this);
        return;
      } catch (error) {
        // What may pass is waited for; the rest ends the read, and the next one asks again.
        const reason = asKafkaFault(error, `opening ${this.#where}`);
        if (!reason.retryable) {
          this.#failure = reason;
          this.#opening = undefined;
          this.#wake?.();
          return;
        }
        await new Promise<void>((resolve) => void world.timer(openRetryMs, resolve));
      }
    }
  }

  #take(max: number): ReadBatch | undefined {
    const { world } = this.#options;
    if (this.#held.length === 0 || this.#notBefore > world.elapsed()) return undefined;
    const count = Math.min(Math.max(1, max), this.#held.length);
    const records: InRecord[] = [];
    for (let i = 0; i < count; i += 1) records.push((this.#held[i] as Held).record);
    const batch: ReadBatch = { records, settle: (done, call) => this.#settle(batch, done, call) };
    this.#batch = batch;
    this.#state = "unsettled";
    return batch;
  }

  async #settle(batch: ReadBatch, done: number, call: CallOptions & { readonly retryInMs?: number }): Promise<void> {
    const { records } = batch;
    if (this.#batch !== batch || !Number.isInteger(done) || done < 0 || done > records.length) {
      const state = this.#batch === batch ? `holds ${records.length} records` : "was settled or given up before";
      throw fault("queue.settle", `cannot settle ${done} records: the batch ${state}`);
    }
    this.#batch = undefined;
    this.#state = "idle";
    const { world, cursor, positions } = this.#options;
    const last = records[done - 1];
    if (last !== undefined) {
      cursor.settled = Number(last.position) + 1;
      for (const { bytes } of this.#held.splice(0, done)) this.#heldBytes -= bytes;
      positions.moved(cursor);
    }
    for (let i = 0; i < records.length - done; i += 1) {
      const { record, bytes } = this.#held[i] as Held;
      this.#held[i] = { record: { ...record, attempt: record.attempt + 1 }, bytes };
    }
    const pauseMs = done < records.length ? (call.retryInMs ?? 0) : 0;
    this.#notBefore = pauseMs > 0 ? world.elapsed() + pauseMs : 0;
    this.#resume();
  }

  /** Early enough that the next records are here before the last ones are read. */
  #resume(): void {
    const { readAheadBytes, source } = this.#options;
    if (!this.#paused || this.#heldBytes >= readAheadBytes / 2) return;
    this.#paused = false;
    source.resume(this.partition);
  }

  /** Until there may be something to take: a record, the end of a pause, disposal. */
  #change(signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const { world } = this.#options;
      const pauseMs = this.#notBefore - world.elapsed();
      const timer = pauseMs > 0 ? world.timer(Math.ceil(pauseMs), () => this.#wake?.()) : undefined;
      const end = (then: () => void) => () => {
        this.#wake = undefined;
        timer?.[Symbol.dispose]();
        forget();
        then();
      };
      let forget = () => {};
      this.#wake = end(resolve);
      const aborted = end(() => reject(signal.reason));
      forget = onAbort(signal, aborted);
    });
  }
}
