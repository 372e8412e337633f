import type { World } from "@heddle/plugin-sdk";
import type { Consumer, ConsumerCrashEvent, EachBatchPayload, Kafka, KafkaMessage } from "kafkajs";
import { within } from "./link.ts";
import type { Trouble } from "./trouble.ts";

const fetchBytes = 4 * 1024 * 1024;
const restartMs = 500;

/** One partition's reader as the source sees it. */
export interface Sink {
  readonly partition: number;
  /** The offset to fetch next. */
  readonly next: number;
  readonly full: boolean;
  push(messages: readonly KafkaMessage[], next: number): void;
}

export interface SourceOptions {
  readonly world: World;
  readonly trouble: Trouble;
  readonly driver: Kafka;
  /** Names as Kafka knows them. */
  readonly topic: string;
  readonly partitions: number;
  readonly partitionBytes: number;
  /** A fetch that brings nothing is answered after this long; a partition that joins meanwhile waits as long. */
  readonly fetchWaitMs: number;
  /** A group that no other consumer ever has. */
  fetcher(): string;
  restarted(): void;
}

/**
 * Fetches one topic for one group. Its consumer is alone in a group of its own, so Kafka gives it every partition and
 * never moves one; it reads those that have a sink and pauses the rest by number.
 */
export class Source {
  readonly #options: SourceOptions;
  readonly #sinks = new Map<number, Sink>();
  #consumer: Consumer | undefined;
  #joined = false;
  #closed = false;
  #restart: Disposable | undefined;
  #ending: Promise<void> = Promise.resolve();

  constructor(options: SourceOptions) {
    this.#options = options;
  }

  get idle(): boolean {
    return this.#sinks.size === 0;
  }

  attach(sink: Sink): void {
    this.#sinks.set(sink.partition, sink);
    if (this.#consumer === undefined && this.#restart === undefined) void this.#start();
    if (!this.#joined) return;
    this.#seek(sink);
    this.resume(sink.partition);
  }

  detach(sink: Sink): void {
    if (this.#sinks.get(sink.partition) !== sink) return;
    this.#sinks.delete(sink.partition);
    this.#pause([sink.partition]);
  }

  resume(partition: number): void {
    if (this.#joined) this.#consumer?.resume([{ topic: this.#options.topic, partitions: [partition] }]);
  }

  /** Resolves when the consumer has left, or after `withinMs` without that. */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    this.#restart?.[Symbol.dispose]();
    this.#drop();
    await within(this.#options.world, withinMs, this.#ending).catch(() => {});
  }

  #pause(partitions: number[]): void {
    if (this.#joined && partitions.length > 0) this.#consumer?.pause([{ topic: this.#options.topic, partitions }]);
  }

  #seek({ partition, next }: Sink): void {
    this.#consumer?.seek({ topic: this.#options.topic, partition, offset: String(next) });
  }

  async #start(): Promise<void> {
    const { driver, topic, partitionBytes, fetchWaitMs, trouble } = this.#options;
    const consumer = driver.consumer({
      groupId: this.#options.fetcher(),
      sessionTimeout: 30_000,
      heartbeatInterval: 5_000,
      maxWaitTimeInMs: fetchWaitMs,
      maxBytesPerPartition: partitionBytes,
      maxBytes: fetchBytes,
      metadataMaxAge: 30_000,
      allowAutoTopicCreation: false,
      // A consumer that has failed is replaced by a new one here, which begins at another broker.
      retry: { retries: 2, restartOnFailure: async () => false },
    });
    this.#consumer = consumer;
    consumer.on("consumer.group_join", () => this.#join(consumer));
    consumer.on("consumer.crash", (event: ConsumerCrashEvent) => this.#failed(consumer, event.payload.error));
    try {
      await consumer.connect();
      if (this.#consumer !== consumer) return await leave(consumer);
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      if (this.#consumer !== consumer) return await leave(consumer);
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: async (payload) => this.#take(consumer, payload),
      });
      if (this.#consumer !== consumer) return await leave(consumer);
      if (this.#joined) trouble.end(this.#part);
    } catch (error) {
      if (this.#consumer === consumer) this.#failed(consumer, error);
      else await leave(consumer);
    }
  }

  get #part(): string {
    return `reading ${this.#options.topic}`;
  }

  /**
   * On every join the driver begins anew: nothing is paused the first time, and all its offsets are forgotten each time.
   * The event comes before anything is fetched.
   */
  #join(consumer: Consumer): void {
    if (this.#consumer !== consumer) return;
    const { partitions } = this.#options;
    this.#joined = true;
    const idle = Array.from({ length: partitions }, (_, i) => i).filter((i) => this.#sinks.get(i)?.full !== false);
    this.#pause(idle);
    for (const sink of this.#sinks.values()) this.#seek(sink);
  }

  #take(consumer: Consumer, { batch, resolveOffset, isStale }: EachBatchPayload): void {
    if (this.#consumer !== consumer || isStale()) return;
    const sink = this.#sinks.get(batch.partition);
    if (sink === undefined) return;
    const last = batch.lastOffset();
    sink.push(batch.messages, Number(last) + 1);
    resolveOffset(last);
    if (sink.full) this.#pause([batch.partition]);
  }

  #failed(consumer: Consumer, error: unknown): void {
    if (this.#consumer !== consumer) return;
    const { world, trouble, restarted } = this.#options;
    trouble.begin(this.#part, error);
    this.#drop();
    if (this.#closed) return;
    restarted();
    this.#restart = world.timer(restartMs, () => {
      this.#restart = undefined;
      if (!this.#closed && !this.idle) void this.#start();
    });
  }

  #drop(): void {
    const consumer = this.#consumer;
    if (consumer === undefined) return;
    this.#consumer = undefined;
    this.#joined = false;
    this.#ending = leave(consumer);
  }
}

/**
 * A consumer that fails to leave is forgotten by Kafka when its session ends. One that was told to leave while it
 * connected is told again when it has: the driver would keep the connections.
 */
async function leave(consumer: Consumer): Promise<void> {
  await consumer.disconnect().catch(() => {});
}
