import {
  encodePlain,
  Fault,
  type LaneSpec,
  type OutRecord,
  type Plain,
  type QueueBackend,
  type World,
} from "@heddle/plugin-sdk";

/** Marks bodies that the lane encoded; bodies published as bytes travel untouched. */
const encodedHeaders = Object.freeze({ enc: "m" });

interface Batch {
  readonly records: OutRecord[];
  bytes: number;
  readonly done: Promise<void>;
  resolve(): void;
  reject(reason: unknown): void;
}

/** Gathers what one round of the event loop publishes to a topic into one send; all its callers share one promise. */
export class Outbox {
  readonly #world: World;
  readonly #queue: QueueBackend;
  readonly #topic: string;
  readonly #partitionOf: (key: string) => number;
  readonly #signal: AbortSignal;
  #batch: Batch | undefined;
  published = 0;
  /** Records handed to the back-end and not yet durable. */
  pending = 0;

  constructor(options: {
    readonly world: World;
    readonly queue: QueueBackend;
    readonly topic: string;
    readonly signal: AbortSignal;
    partitionOf(key: string): number;
  }) {
    this.#world = options.world;
    this.#queue = options.queue;
    this.#topic = options.topic;
    this.#signal = options.signal;
    this.#partitionOf = options.partitionOf;
  }

  publish(lane: LaneSpec, key: string, body: Plain): Promise<void> {
    const raw = body instanceof Uint8Array;
    const bytes = raw ? body : encodePlain(body).slice();
    if (bytes.length > this.#queue.limits.recordBytes) {
      const limit = this.#queue.limits.recordBytes;
      const message = `lane ${lane.name}: record of ${bytes.length} bytes, the limit is ${limit}`;
      return Promise.reject(new Fault("invalid", "lane.record-too-large", message));
    }
    const batch = this.#open();
    const partition = this.#partitionOf(key);
    batch.records.push(
      raw ? { partition, key, body: bytes } : { partition, key, body: bytes, headers: encodedHeaders },
    );
    if (batch.records.length >= this.#queue.limits.batchRecords) this.#flush();
    return batch.done;
  }

  #open(): Batch {
    if (this.#batch !== undefined) return this.#batch;
    let resolve!: () => void;
    let reject!: (reason: unknown) => void;
    const done = new Promise<void>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    this.#batch = { records: [], bytes: 0, done, resolve, reject };
    this.#world.timer(0, () => this.#flush());
    return this.#batch;
  }

  #flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    this.published += batch.records.length;
    this.pending += batch.records.length;
    this.#queue.send(this.#topic, batch.records, { signal: this.#signal }).then(
      () => {
        this.pending -= batch.records.length;
        batch.resolve();
      },
      (error) => {
        this.pending -= batch.records.length;
        batch.reject(error);
      },
    );
  }
}
