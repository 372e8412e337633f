import {
  type CallOptions,
  Fault,
  type InRecord,
  type OutRecord,
  type PartitionReader,
  type QueueBackend,
  type ReadBatch,
  type TopicSpec,
  type World,
} from "../../src/index.ts";

export interface MemoryQueueOptions {
  readonly recordBytes?: number;
  /** Records kept in all; more are refused as `exhausted`. */
  readonly capacity?: number;
  /** Every trip between a client and the queue takes up to this long; 0 takes no time at all. */
  readonly delayMs?: number;
}

/** What one node sees of the queue. */
export interface MemoryQueueClient extends QueueBackend, AsyncDisposable {
  /** The node is gone: its readers vanish, what they had not settled goes to others. For good. */
  crash(): void;
  /** The node cannot reach the queue until `heal`: like a crash to the others, `unavailable` to itself. */
  cut(): void;
  heal(): void;
}

export interface MemoryQueue {
  /** A live view for this node, in place of an earlier one of the same name. */
  client(node: string): MemoryQueueClient;
}

interface Cursor {
  settled: number;
  readonly attempts: Map<number, number>;
  notBefore: number;
  holder: Reader | undefined;
}

interface Partition {
  readonly records: InRecord[];
  /** Position of `records[0]`. */
  base: number;
  readonly cursors: Map<string, Cursor>;
}

interface Topic {
  retainMs: number;
  readonly partitions: readonly Partition[];
}

/** The reference queue: in memory, all on `World`, shared by the clients of several simulated nodes. */
export function memoryQueue(world: World, options: MemoryQueueOptions = {}): MemoryQueue {
  const broker = new Broker(world, options);
  const clients = new Map<string, Client>();
  return {
    client: (node) => {
      clients.get(node)?.crash();
      const client = new Client(broker);
      clients.set(node, client);
      return client;
    },
  };
}

class Broker {
  readonly world: World;
  readonly recordBytes: number;
  readonly topics = new Map<string, Topic>();
  readonly #capacity: number;
  readonly #delayMs: number;
  readonly #changes = new Set<() => void>();
  #held = 0;

  constructor(world: World, options: MemoryQueueOptions) {
    this.world = world;
    this.recordBytes = options.recordBytes ?? 1_048_576;
    this.#capacity = options.capacity ?? 1_000_000;
    this.#delayMs = options.delayMs ?? 0;
  }

  topic(name: string): Topic {
    const topic = this.topics.get(name);
    if (topic === undefined) throw new Fault("missing", "queue.topic-unknown", `memory queue: no topic ${name}`);
    return topic;
  }

  ensure(specs: readonly TopicSpec[]): void {
    for (const { name, partitions } of specs) {
      const count = this.topics.get(name)?.partitions.length ?? partitions;
      if (count === partitions) continue;
      throw new Fault(
        "conflict",
        "queue.partitions",
        `memory queue: ${name} has ${count} partitions, not ${partitions}`,
      );
    }
    for (const { name, partitions, retainMs } of specs) {
      const known = this.topics.get(name);
      if (known !== undefined) known.retainMs = retainMs;
      else this.topics.set(name, { retainMs, partitions: Array.from({ length: partitions }, emptyPartition) });
    }
  }

  partition(name: string, index: number): Partition {
    const partition = this.topic(name).partitions[index];
    if (partition !== undefined) return partition;
    throw new Fault("invalid", "queue.partition-unknown", `memory queue: ${name} has no partition ${index}`);
  }

  check(name: string, records: readonly OutRecord[]): void {
    for (const { partition, key, body, headers } of records) {
      this.partition(name, partition);
      const bytes = Buffer.byteLength(key) + body.byteLength + Buffer.byteLength(JSON.stringify(headers ?? {}));
      if (bytes <= this.recordBytes) continue;
      const text = `memory queue: a record takes ${bytes} bytes, the limit is ${this.recordBytes}`;
      throw new Fault("invalid", "queue.record-too-large", text);
    }
  }

  append(name: string, records: readonly OutRecord[]): void {
    if (this.#held + records.length > this.#capacity) this.#trim();
    if (this.#held + records.length > this.#capacity) {
      throw new Fault("exhausted", "queue.full", `memory queue: holds ${this.#held} of ${this.#capacity} records`);
    }
    const sentAt = this.world.now();
    for (const record of records) {
      const partition = this.partition(name, record.partition);
      const position = String(partition.base + partition.records.length);
      partition.records.push({ ...record, body: new Uint8Array(record.body), position, attempt: 1, sentAt });
    }
    this.#held += records.length;
    this.changed();
  }

  cursor(at: { readonly topic: string; readonly group: string; readonly partition: number }): Cursor {
    const topic = this.topic(at.topic);
    this.partition(at.topic, at.partition);
    for (const { cursors, base } of topic.partitions) {
      if (cursors.has(at.group)) continue;
      cursors.set(at.group, { settled: base, attempts: new Map(), notBefore: 0, holder: undefined });
    }
    return topic.partitions[at.partition]?.cursors.get(at.group) as Cursor;
  }

  changed(): void {
    for (const run of [...this.#changes]) run();
  }

  /** Until something changes, `ms` pass or the signal aborts. */
  change(signal: AbortSignal, ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (then: () => void) => () => {
        this.#changes.delete(done);
        timer?.[Symbol.dispose]();
        signal.removeEventListener("abort", abort);
        then();
      };
      const done = end(resolve);
      const abort = end(() => reject(signal.reason));
      const timer = ms > 0 ? this.world.timer(ms, done) : undefined;
      this.#changes.add(done);
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    });
  }

  async trip(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#delayMs > 0) await this.world.sleep(this.world.random() * this.#delayMs, signal);
  }

  /** Drops what every group has settled and what is past its time. */
  #trim(): void {
    this.#held = 0;
    for (const { partitions, retainMs } of this.topics.values()) {
      const oldest = this.world.now() - retainMs;
      for (const partition of partitions) {
        const { records, cursors, base } = partition;
        const settled = cursors.size === 0 ? base : Math.min(...[...cursors.values()].map((cursor) => cursor.settled));
        let spent = Math.max(0, settled - base);
        while ((records[spent]?.sentAt ?? Number.POSITIVE_INFINITY) < oldest) spent += 1;
        records.splice(0, spent);
        partition.base += spent;
        this.#held += records.length;
      }
    }
  }
}

function emptyPartition(): Partition {
  return { records: [], base: 0, cursors: new Map() };
}

class Client implements MemoryQueueClient {
  readonly limits: QueueBackend["limits"];
  readonly #broker: Broker;
  readonly #readers = new Set<Reader>();
  #state: "live" | "cut" | "gone" = "live";

  constructor(broker: Broker) {
    this.#broker = broker;
    this.limits = { recordBytes: broker.recordBytes, batchRecords: 10_000 };
  }

  async ensure(topics: readonly TopicSpec[], { signal }: CallOptions): Promise<void> {
    await this.#broker.trip(signal);
    this.refuse();
    this.#broker.ensure(topics);
    await this.#broker.trip(signal);
    this.refuse();
  }

  async send(topic: string, records: readonly OutRecord[], { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    this.#broker.check(topic, records);
    await this.#broker.trip(signal);
    this.refuse();
    this.#broker.append(topic, records);
    // A cut from here on leaves the sender without an answer although the records are there.
    await this.#broker.trip(signal);
    this.refuse();
  }

  reader(at: { readonly topic: string; readonly group: string; readonly partition: number }): PartitionReader {
    const reader = new Reader(this.#broker, at, {
      refuse: () => this.refuse(),
      closed: () => this.#readers.delete(reader),
    });
    this.#readers.add(reader);
    return reader;
  }

  async lag(
    at: { readonly topic: string; readonly group: string },
    { signal }: CallOptions,
  ): Promise<readonly number[]> {
    signal.throwIfAborted();
    this.refuse();
    return this.#broker.topic(at.topic).partitions.map(({ base, records, cursors }) => {
      return base + records.length - Math.max(base, cursors.get(at.group)?.settled ?? 0);
    });
  }

  crash(): void {
    this.#state = "gone";
    this.#letGo();
  }

  cut(): void {
    if (this.#state === "live") this.#state = "cut";
    this.#letGo();
  }

  heal(): void {
    if (this.#state === "cut") this.#state = "live";
    this.#broker.changed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const reader of [...this.#readers]) await reader[Symbol.asyncDispose]();
    this.#state = "gone";
    this.#broker.changed();
  }

  refuse(): void {
    if (this.#state === "live") return;
    throw new Fault("unavailable", "queue.closed", `memory queue: this client is ${this.#state}`, {
      retryAfterMs: 100,
    });
  }

  #letGo(): void {
    for (const reader of this.#readers) reader.lose();
    this.#broker.changed();
  }
}

class Reader implements PartitionReader {
  readonly #broker: Broker;
  readonly #at: { readonly topic: string; readonly group: string; readonly partition: number };
  readonly #client: { refuse(): void; closed(): void };
  readonly #cursor: Cursor;
  #reading = false;
  #closed = false;
  #batch: readonly InRecord[] | undefined;

  constructor(
    broker: Broker,
    at: { readonly topic: string; readonly group: string; readonly partition: number },
    client: { refuse(): void; closed(): void },
  ) {
    this.#broker = broker;
    this.#at = at;
    this.#client = client;
    this.#cursor = broker.cursor(at);
  }

  async read(max: number, { signal }: CallOptions): Promise<ReadBatch> {
    signal.throwIfAborted();
    if (this.#closed) throw closedFault();
    if (this.#reading || this.#batch !== undefined) {
      const { topic, group, partition } = this.#at;
      throw new Fault(
        "conflict",
        "queue.unsettled",
        `memory queue: ${group} has a batch of ${topic}/${partition} in hand`,
      );
    }
    this.#reading = true;
    try {
      await this.#broker.trip(signal);
      for (;;) {
        if (this.#closed) throw closedFault();
        this.#client.refuse();
        const records = this.#take(max);
        if (records.length > 0) return this.#hand(records);
        await this.#broker.change(signal, this.#cursor.notBefore - this.#broker.world.elapsed());
      }
    } finally {
      this.#reading = false;
    }
  }

  /** The queue no longer counts on this reader; it may come back with another read. */
  lose(): void {
    this.#comeAgain(this.#batch ?? []);
    this.#batch = undefined;
    if (this.#cursor.holder === this) this.#cursor.holder = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.lose();
    this.#client.closed();
    this.#broker.changed();
  }

  #take(max: number): InRecord[] {
    const cursor = this.#cursor;
    cursor.holder ??= this;
    if (cursor.holder !== this || cursor.notBefore > this.#broker.world.elapsed()) return [];
    const { records, base } = this.#broker.partition(this.#at.topic, this.#at.partition);
    const from = Math.max(0, cursor.settled - base);
    return records.slice(from, from + max).map((record) => {
      const before = cursor.attempts.get(Number(record.position)) ?? 0;
      return { ...record, attempt: before + 1 };
    });
  }

  #hand(records: readonly InRecord[]): ReadBatch {
    this.#batch = records;
    return {
      records,
      settle: async (done, call) => {
        await this.#broker.trip(call.signal);
        this.#client.refuse();
        if (this.#batch !== records || !Number.isInteger(done) || done < 0 || done > records.length) {
          throw new Fault(
            "conflict",
            "queue.settle",
            `memory queue: cannot settle ${done} of ${records.length} records`,
          );
        }
        const last = records[done - 1];
        if (last !== undefined) this.#cursor.settled = Number(last.position) + 1;
        for (const { position } of records.slice(0, done)) this.#cursor.attempts.delete(Number(position));
        this.#comeAgain(records.slice(done));
        const pause = done < records.length ? (call.retryInMs ?? 0) : 0;
        this.#cursor.notBefore = pause > 0 ? this.#broker.world.elapsed() + pause : 0;
        this.#batch = undefined;
      },
    };
  }

  #comeAgain(records: readonly InRecord[]): void {
    for (const { position, attempt } of records) this.#cursor.attempts.set(Number(position), attempt);
  }
}

function closedFault(): Fault {
  return new Fault("conflict", "queue.reader-closed", "memory queue: this reader is closed");
}
