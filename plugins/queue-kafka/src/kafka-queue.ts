import {
  abortable,
  type CallOptions,
  type Health,
  type Log,
  type OutRecord,
  type PartitionReader,
  type QueueBackend,
  type TopicSpec,
  type World,
} from "@heddle/plugin-sdk";
import type { Admin, Kafka, Producer } from "kafkajs";
import { type DriverOptions, openDriver, requestMs } from "./driver.ts";
import { asKafkaFault, fault } from "./faults.ts";
import { Link } from "./link.ts";
import { Positions } from "./positions.ts";
import { Reader } from "./reader.ts";
import { partitioner } from "./request.ts";
import { Sender } from "./sender.ts";
import { brokerList, Names, type Settings } from "./settings.ts";
import { Source } from "./source.ts";
import { Topics } from "./topics.ts";
import { Trouble } from "./trouble.ts";

const firstPauseMs = 200;
const longestPauseMs = 5_000;
const closeMs = 3_000;

export interface Meter {
  send(seconds: number, records: number): void;
  pending(bytes: number): void;
  commit(seconds: number): void;
  reconnect(part: "producer" | "reader"): void;
  /** A request waited this long in the client before it was written. */
  throttled(ms: number): void;
}

export interface KafkaQueueOptions {
  readonly world: World;
  readonly log: Log;
  readonly settings: Settings;
  readonly meter: Meter;
  readonly driver?: DriverOptions;
}

/** Everything that lives from `start` to disposal. */
interface Running {
  readonly driver: Kafka;
  readonly links: readonly Link<Admin | Producer>[];
  readonly admins: Link<Admin>;
  readonly topics: Topics;
  readonly sender: Sender;
  readonly positions: Positions;
  readonly sources: Map<string, Source>;
  readonly readers: Set<Reader>;
  /** By group, topic and partition: when the reader that has it will have given it up. */
  readonly leases: Map<string, Promise<void>>;
}

/** The durable lane on Kafka: who reads what is the caller's business, Kafka keeps records and positions. */
export class KafkaQueue implements QueueBackend, AsyncDisposable {
  readonly limits: QueueBackend["limits"];
  readonly #options: KafkaQueueOptions;
  readonly #names: Names;
  readonly #trouble: Trouble;
  #running: Running | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: KafkaQueueOptions) {
    this.#options = options;
    this.#names = new Names(options.settings.prefix);
    this.#trouble = new Trouble(options.log);
    this.limits = { recordBytes: options.settings.recordBytes, batchRecords: 10_000 };
  }

  /** Waits for a broker, however long; faults `queue.denied` and `queue.tls` at once. */
  async start(signal: AbortSignal): Promise<void> {
    await this.#closing;
    const { world } = this.#options;
    const running = this.#make();
    try {
      for (let pause = firstPauseMs; ; pause = Math.min(pause * 2, longestPauseMs)) {
        signal.throwIfAborted();
        try {
          await abortable(this.#greet(running), signal);
          break;
        } catch (error) {
          if (signal.aborted) throw signal.reason;
          const reason = asKafkaFault(error, `brokers ${brokerList(this.#options.settings.brokers).join(", ")}`);
          if (!reason.retryable) throw reason;
          this.#trouble.begin("start", reason, { down: true });
        }
        await world.sleep(pause, signal);
      }
    } catch (error) {
      await this.#close(running);
      throw error;
    }
    this.#trouble.end("start");
    this.#running = running;
  }

  async ensure(specs: readonly TopicSpec[], call: CallOptions): Promise<void> {
    const { topics, sender } = this.#live();
    for (const [topic, { name, leaders }] of await topics.ensure(specs, call)) sender.know(topic, name, leaders);
  }

  send(topic: string, records: readonly OutRecord[], { signal }: CallOptions): Promise<void> {
    if (this.#running === undefined) return Promise.reject(closedFault());
    return this.#running.sender.send(topic, records, signal);
  }

  reader(at: { readonly topic: string; readonly group: string; readonly partition: number }): PartitionReader {
    const running = this.#live();
    const { name, leaders } = running.topics.find(at.topic, at.partition);
    const { world, log, settings } = this.#options;
    const group = this.#names.group(at.group);
    const lease = `${group} ${name} ${at.partition}`;
    const turn = running.leases.get(lease) ?? Promise.resolve();
    let closed = () => {};
    const over = new Promise<void>((resolve) => {
      closed = resolve;
    });
    running.leases.set(lease, over);
    const reader = new Reader({
      world,
      positions: running.positions,
      source: this.#source(running, { ...at, name, partitions: leaders.length }),
      cursor: {
        topic: name,
        group,
        partition: at.partition,
        settled: undefined,
        committed: undefined,
        committedAt: world.elapsed(),
      },
      readAheadBytes: settings.readAheadBytes,
      handOverMs: settings.handOverWait,
      turn,
      closed: () => {
        running.readers.delete(reader);
        if (running.leases.get(lease) === over) running.leases.delete(lease);
        closed();
      },
      notHandedOver: (error) => log.debug("position not handed over, the last records come again", { error }),
    });
    running.readers.add(reader);
    return reader;
  }

  /** Records of each partition that the group has not settled, by its durable position. */
  async lag(
    at: { readonly topic: string; readonly group: string },
    { signal }: CallOptions,
  ): Promise<readonly number[]> {
    const { admins, positions, topics } = this.#live();
    const { name, leaders } = topics.find(at.topic);
    const admin = await abortable(admins.get(), signal);
    try {
      const [ends, settled] = await abortable(
        Promise.all([admin.fetchTopicOffsets(name), positions.load(this.#names.group(at.group), name)]),
        signal,
      );
      const lags = leaders.map(() => 0);
      for (const { partition, low, high } of ends) {
        lags[partition] = Math.max(0, Number(high) - Math.max(Number(low), settled.get(partition) ?? 0));
      }
      return lags;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw asKafkaFault(error, `lag of ${at.group} in ${at.topic}`);
    }
  }

  health(): Health {
    if (this.#running === undefined && this.#trouble.health().state === "up") {
      return { state: "down", detail: "not started" };
    }
    return this.#trouble.health();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) this.#closing = this.#close(running);
    await this.#closing;
  }

  async #greet({ admins, topics, sender }: Running): Promise<void> {
    const admin = await admins.get();
    try {
      for (const [topic, { name, leaders }] of await topics.discover(admin)) sender.know(topic, name, leaders);
    } catch (error) {
      admins.drop(admin);
      throw error;
    }
  }

  #live(): Running {
    if (this.#running === undefined) throw closedFault();
    return this.#running;
  }

  #source(running: Running, at: { topic: string; group: string; name: string; partitions: number }): Source {
    const { world, settings, meter } = this.#options;
    const key = `${at.group} ${at.topic}`;
    let source = running.sources.get(key);
    if (source === undefined) {
      source = new Source({
        world,
        trouble: this.#trouble,
        driver: running.driver,
        topic: at.name,
        partitions: at.partitions,
        partitionBytes: Math.max(4_096, Math.round(settings.readAheadBytes / 2)),
        fetchWaitMs: settings.fetchWait,
        fetcher: () => this.#names.fetcher(at.topic, at.group, world.uuid()),
        restarted: () => meter.reconnect("reader"),
      });
      running.sources.set(key, source);
    }
    return source;
  }

  #make(): Running {
    const { world, log, settings, meter } = this.#options;
    const driver = openDriver(settings, { world, log }, this.#options.driver);
    const attemptMs = requestMs(settings);
    const at = { world, withinMs: settings.connectTimeout + attemptMs };
    const admins = new Link({ ...at, what: "the administrator", make: () => driver.admin() });
    const producers = new Link({ ...at, what: "the producer", make: () => this.#producer(driver) });
    const committers = new Link({
      ...at,
      what: "the keeper of positions",
      make: () =>
        driver.producer({
          transactionalId: this.#names.positions(world.uuid()),
          maxInFlightRequests: 1,
          idempotent: true,
          allowAutoTopicCreation: false,
          createPartitioner: partitioner,
        }),
    });
    const trouble = this.#trouble;
    const sender = new Sender({
      world,
      trouble,
      producers,
      recordBytes: settings.recordBytes,
      pendingBytes: settings.pendingBytes,
      ackTimeoutMs: settings.ackTimeout,
      requestMs: attemptMs,
      meter: {
        request: (seconds, records) => meter.send(seconds, records),
        pending: (bytes) => meter.pending(bytes),
        replaced: () => meter.reconnect("producer"),
      },
    });
    const committed = (seconds: number) => meter.commit(seconds);
    const delayMs = settings.positionDelay;
    return {
      driver,
      links: [admins, producers, committers],
      admins,
      topics: new Topics({ world, log, admins, names: this.#names, settings }),
      sender,
      positions: new Positions({ world, trouble, admins, committers, delayMs, committed }),
      sources: new Map(),
      readers: new Set(),
      leases: new Map(),
    };
  }

  #producer(driver: Kafka): Producer {
    const { settings, meter } = this.#options;
    const producer = driver.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: partitioner,
      metadataMaxAge: requestMs(settings),
      retry: {
        initialRetryTime: 50,
        maxRetryTime: 500,
        multiplier: 2,
        retries: 10 + Math.ceil(settings.ackTimeout / 250),
      },
    });
    producer.on("producer.network.request", ({ payload }) => {
      if (payload.pendingDuration > 0) meter.throttled(payload.pendingDuration);
    });
    return producer;
  }

  async #close(running: Running): Promise<void> {
    const { readers, positions, sender, sources, links } = running;
    await Promise.all([...readers].map((reader) => reader[Symbol.asyncDispose]()));
    sender.close();
    positions.close();
    await Promise.all([
      ...[...sources.values()].map((source) => source.close(closeMs)),
      ...links.map((link) => link.close(closeMs)),
    ]);
  }
}

function closedFault() {
  return fault("queue.closed", "the queue is not started or has been stopped");
}
