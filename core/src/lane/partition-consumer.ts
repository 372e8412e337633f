import {
  asFault,
  decodePlain,
  type Fault,
  type InRecord,
  type LaneHandler,
  type LaneSpec,
  type LaneTurn,
  type Log,
  type PartitionReader,
  type Plain,
  type ReadBatch,
  type World,
} from "@heddle/plugin-sdk";
import { sharedAbort } from "../shared-abort.ts";
import { sleepOn } from "../world/system-world.ts";

/** Records of a partition that are read, and so may be in progress, at once; times the partitions, it is memory. */
const batchRecords = 256;
const readRetryMs = 1_000;
const longestPauseMs = 10_000;

export interface ConsumerOptions {
  readonly world: World;
  readonly log: Log;
  readonly lane: LaneSpec;
  readonly partition: number;
  readonly handle: LaneHandler;
  readonly counters: ConsumerCounters;
  open(): PartitionReader;
  /** False once the node may no longer act: nothing is started or settled. */
  mayAct(): boolean;
  deadLetter(record: InRecord, fault: Fault): Promise<void>;
}

export interface ConsumerCounters {
  handled: number;
  retried: number;
  skipped: number;
  inProgress: number;
}

/**
 * Reads one partition for one group while it is owned. Handlers of one key start in order, at most `pipeline` of them at
 * once; keys run beside each other. A batch is settled when all of it is finished, or its finished prefix when stopped.
 */
export class PartitionConsumer {
  readonly #options: ConsumerOptions;
  readonly #stop = sharedAbort();
  readonly #abort = sharedAbort();
  readonly #done: Promise<void>;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** Reads no more; resolves when the handlers in progress have ended and the reader is given back. */
  stop(): Promise<void> {
    this.#stop.abort();
    return this.#done;
  }

  /** The handlers' signals abort; nothing is settled any more. */
  abort(reason: unknown): void {
    this.#stop.abort();
    this.#abort.abort(reason);
  }

  async #run(): Promise<void> {
    const { world, log, lane, partition, open } = this.#options;
    while (!this.#stop.signal.aborted) {
      const reader = open();
      try {
        while (!this.#stop.signal.aborted)
          await this.#process(await reader.read(batchRecords, { signal: this.#stop.signal }));
      } catch (error) {
        if (!this.#stop.signal.aborted) {
          log.warn("lane reader failed, opening it again", { lane: lane.name, partition, error });
          await sleepOn(world, readRetryMs, this.#stop.signal).catch(stopped);
        }
      } finally {
        await reader[Symbol.asyncDispose]();
      }
    }
  }

  async #process(batch: ReadBatch): Promise<void> {
    const run = new BatchRun(this.#options, batch.records, this.#stop.signal, this.#abort.signal);
    const giveUp = () => run.giveUp();
    this.#abort.signal.addEventListener("abort", giveUp, { once: true });
    await run.finished;
    this.#abort.signal.removeEventListener("abort", giveUp);
    if (!this.#options.mayAct() || this.#abort.signal.aborted) return;
    await batch.settle(run.prefix, { signal: this.#abort.signal });
  }
}

/** Waiting ended because the consumer stops; its loop sees that by itself. */
function stopped(): void {}

interface KeyState {
  active: number;
  /** Indexes of records that wait for one of the same key to finish. */
  readonly waiting: number[];
}

class BatchRun {
  readonly finished: Promise<void>;
  readonly #options: ConsumerOptions;
  readonly #records: readonly InRecord[];
  readonly #stop: AbortSignal;
  readonly #abort: AbortSignal;
  readonly #keys = new Map<string, KeyState>();
  readonly #done: Uint8Array;
  #open = 0;
  #finish!: () => void;

  constructor(options: ConsumerOptions, records: readonly InRecord[], stop: AbortSignal, abort: AbortSignal) {
    this.#options = options;
    this.#records = records;
    this.#stop = stop;
    this.#abort = abort;
    this.#done = new Uint8Array(records.length);
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#open = 1;
    for (let i = 0; i < records.length; i++) this.#offer(i);
    this.#close();
  }

  /** The handlers in progress may never end: nobody waits for them any more. */
  giveUp(): void {
    this.#finish();
  }

  /** How many records from the first are finished without a gap. */
  get prefix(): number {
    const gap = this.#done.indexOf(0);
    return gap === -1 ? this.#done.length : gap;
  }

  #offer(index: number): void {
    const { key } = this.#records[index] as InRecord;
    let state = this.#keys.get(key);
    if (state === undefined) {
      state = { active: 0, waiting: [] };
      this.#keys.set(key, state);
    }
    if (state.active >= (this.#options.lane.pipeline ?? 1) || state.waiting.length > 0) state.waiting.push(index);
    else this.#start(index, state, 1);
  }

  #start(index: number, state: KeyState, attempt: number): void {
    const record = this.#records[index] as InRecord;
    if (attempt === 1) {
      state.active++;
      this.#open++;
      this.#options.counters.inProgress++;
    }
    // A node that was stalled past its lease starts nothing, even before it is told that the lease is lost.
    if (!this.#options.mayAct()) return this.#end(index, state, false);
    const turn: LaneTurn = {
      signal: this.#abort,
      trace: "",
      attempt: record.attempt + attempt - 1,
      sentAt: record.sentAt,
    };
    let result: Promise<void> | void;
    try {
      const body: Plain = record.headers?.["enc"] === "m" ? decodePlain(record.body) : record.body;
      result = this.#options.handle(record.key, body, turn);
    } catch (error) {
      this.#failed(index, state, { attempt, error });
      return;
    }
    if (result instanceof Promise) {
      result.then(
        () => this.#succeeded(index, state),
        (error) => this.#failed(index, state, { attempt, error }),
      );
    } else this.#succeeded(index, state);
  }

  #succeeded(index: number, state: KeyState): void {
    this.#options.counters.handled++;
    this.#end(index, state, true);
  }

  #failed(index: number, state: KeyState, { attempt, error }: { attempt: number; error: unknown }): void {
    const { lane, counters, world } = this.#options;
    if (this.#abort.aborted) return this.#end(index, state, false);
    const fault = asFault(error);
    // What is out of order will be in order again: such records wait, however long, and hold what is behind them.
    const waits = fault.retryable;
    if (!waits && (attempt >= lane.retry.attempts || fault.kind === "invalid")) {
      void this.#exhausted(index, state, fault);
      return;
    }
    if (this.#stop.aborted) return this.#end(index, state, false);
    counters.retried++;
    const pause = Math.min(lane.retry.backoffMs * 2 ** Math.min(attempt - 1, 10), longestPauseMs);
    world.timer(fault.retryAfterMs ?? pause, () => {
      if (this.#stop.aborted) this.#end(index, state, false);
      else this.#start(index, state, attempt + 1);
    });
  }

  async #exhausted(index: number, state: KeyState, fault: Fault): Promise<void> {
    const { lane, log, partition, counters, deadLetter } = this.#options;
    const record = this.#records[index] as InRecord;
    counters.skipped++;
    // Counted; a chain that fails every message must not drown the log.
    const say = lane.exhausted === "deadLetter" ? log.warn : log.debug;
    say("lane record given up", {
      lane: lane.name,
      partition,
      key: record.key,
      policy: lane.exhausted,
      error: fault,
    });
    try {
      if (lane.exhausted === "deadLetter") await deadLetter(record, fault);
      this.#end(index, state, true);
    } catch (error) {
      log.error("dead letter not stored, the record will come again", { lane: lane.name, partition, error });
      this.#end(index, state, false);
    }
  }

  #end(index: number, state: KeyState, done: boolean): void {
    if (done) this.#done[index] = 1;
    state.active--;
    this.#options.counters.inProgress--;
    const next = this.#stop.aborted ? undefined : state.waiting.shift();
    if (next !== undefined) this.#start(next, state, 1);
    this.#close();
  }

  #close(): void {
    this.#open--;
    if (this.#open === 0) this.#finish();
  }
}
