import { abortable, type CallOptions, type Log, type TopicSpec, type World } from "@heddle/plugin-sdk";
import kafkajs, { type Admin, type ITopicConfig } from "kafkajs";
import { asKafkaFault, errorTypes, fault } from "./faults.ts";
import type { Link } from "./link.ts";
import type { Names, Settings } from "./settings.ts";

/** What a batch of one record takes besides the record. */
const batchOverhead = 1_024;
const pollMs = 50;
/** The loss of one broker then neither loses nor stops anything. */
const mostCopies = 3;

export interface KnownTopic {
  /** As Kafka knows it. */
  readonly name: string;
  /** The broker that leads each partition, when it was looked up. */
  readonly leaders: readonly number[];
}

export interface TopicsOptions {
  readonly world: World;
  readonly log: Log;
  readonly admins: Link<Admin>;
  readonly names: Names;
  readonly settings: Settings;
}

/** Topics: made when they are not there, and known with their partitions from then on. */
export class Topics {
  readonly #options: TopicsOptions;
  readonly #known = new Map<string, KnownTopic>();
  /** Topics whose settings were compared with what is asked. */
  readonly #compared = new Set<string>();

  constructor(options: TopicsOptions) {
    this.#options = options;
  }

  /** Fault `queue.topic-unknown`, or `queue.partition-unknown` when it has fewer partitions. */
  find(topic: string, partition = 0): KnownTopic {
    const known = this.#known.get(topic);
    if (known === undefined) throw fault("queue.topic-unknown", `no topic ${topic}`);
    if (Number.isInteger(partition) && partition >= 0 && partition < known.leaders.length) return known;
    const text = `${topic} has ${known.leaders.length} partitions, there is no ${partition}`;
    throw fault("queue.partition-unknown", text);
  }

  /** Topics that an earlier run has made are known without `ensure`. */
  async discover(admin: Admin): Promise<ReadonlyMap<string, KnownTopic>> {
    const { names } = this.#options;
    const found = (await admin.listTopics()).flatMap((name) => names.topicOf(name) ?? []);
    for (const [name, leaders] of await this.#leaders(admin, found)) this.#know(name, leaders);
    return this.#known;
  }

  async ensure(specs: readonly TopicSpec[], { signal }: CallOptions): Promise<ReadonlyMap<string, KnownTopic>> {
    signal.throwIfAborted();
    const { admins, names } = this.#options;
    const admin = await abortable(admins.get(), signal);
    try {
      const present = await this.#whenKnown(() => this.#present(admin, specs), signal);
      for (const { name, partitions } of specs) {
        const count = present.get(name)?.length ?? partitions;
        if (count === partitions) continue;
        throw fault("queue.partitions", `${names.topic(name)} has ${count} partitions, ${partitions} are asked for`);
      }
      const missing = specs.filter(({ name }) => !present.has(name));
      const existing = specs.filter(({ name }) => present.has(name));
      if (existing.length > 0) await this.#whenKnown(() => this.#checkConfig(admin, existing), signal);
      if (missing.length > 0) await abortable(this.#create(admin, missing), signal);
      await this.#awaitLeaders(admin, specs, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const reason = asKafkaFault(error, `topics ${specs.map(({ name }) => names.topic(name)).join(", ")}`);
      if (reason.retryable) admins.drop(admin);
      throw reason;
    }
    return new Map(specs.map(({ name }) => [name, this.#known.get(name) as KnownTopic]));
  }

  /** A topic that was just made, by this node or another, is unknown to some brokers for a moment. */
  async #whenKnown<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { world, settings } = this.#options;
    const deadline = world.elapsed() + settings.ackTimeout;
    for (;;) {
      try {
        return await abortable(read(), signal);
      } catch (error) {
        if (!isNotYet(error) || world.elapsed() > deadline) throw error;
      }
      await world.sleep(pollMs, signal);
    }
  }

  /** Leaders of the partitions of those topics that exist; -1 where there is none at the moment. */
  async #present(admin: Admin, specs: readonly TopicSpec[]): Promise<Map<string, number[]>> {
    const all = new Set(await admin.listTopics());
    const wanted = specs.filter(({ name }) => all.has(this.#options.names.topic(name)));
    return this.#leaders(
      admin,
      wanted.map(({ name }) => name),
    );
  }

  async #leaders(admin: Admin, wanted: readonly string[]): Promise<Map<string, number[]>> {
    const { names } = this.#options;
    if (wanted.length === 0) return new Map();
    const { topics } = await admin.fetchTopicMetadata({ topics: wanted.map((name) => names.topic(name)) });
    return new Map(
      wanted.map((name) => {
        const found = topics.find((topic) => topic.name === names.topic(name));
        const leaders: number[] = [];
        for (const { partitionId, leader } of found?.partitions ?? []) leaders[partitionId] = leader;
        return [name, leaders];
      }),
    );
  }

  #know(name: string, leaders: readonly number[]): void {
    if (!this.#known.has(name)) this.#known.set(name, { name: this.#options.names.topic(name), leaders });
  }

  async #create(admin: Admin, specs: readonly TopicSpec[]): Promise<void> {
    const { log, names, settings } = this.#options;
    const copies = settings.replication ?? (await usualCopies(admin));
    if (copies < mostCopies) log.warn("topics are made with fewer than three copies", { copies });
    try {
      // Waiting for leaders is done here: the driver's own gives up when metadata are a moment late.
      await admin.createTopics({ topics: specs.map((spec) => this.#config(spec, copies)), waitForLeaders: false });
      for (const { name, partitions } of specs) log.info("topic made", { topic: names.topic(name), partitions });
    } catch (error) {
      const types = errorTypes(error);
      if (types.includes("INVALID_REPLICATION_FACTOR")) {
        const text = `replication is ${copies}, more than there are brokers`;
        throw fault("queue.replication", text, error);
      }
      // Another node was faster; its partitions are checked with the leaders.
      if (types.length === 0 || types.some((type) => type !== "TOPIC_ALREADY_EXISTS")) throw error;
    }
  }

  #config({ name, partitions, retainMs }: TopicSpec, replication: number): ITopicConfig {
    const { names, settings } = this.#options;
    const minInSync = settings.minInSync ?? Math.max(1, replication - 1);
    return {
      topic: names.topic(name),
      numPartitions: partitions,
      replicationFactor: replication,
      configEntries: [
        { name: "retention.ms", value: String(retainMs) },
        { name: "max.message.bytes", value: String(settings.recordBytes + batchOverhead) },
        { name: "min.insync.replicas", value: String(minInSync) },
        { name: "cleanup.policy", value: "delete" },
      ],
    };
  }

  async #checkConfig(admin: Admin, specs: readonly TopicSpec[]): Promise<void> {
    const { log, names, settings } = this.#options;
    const configNames = ["max.message.bytes", "retention.ms"];
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: specs.map(({ name }) => ({
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: names.topic(name),
        configNames,
      })),
    });
    const needed = settings.recordBytes + batchOverhead;
    for (const { name, retainMs } of specs) {
      const topic = names.topic(name);
      const entries = resources.find((one) => one.resourceName === topic)?.configEntries ?? [];
      const value = (config: string) => Number(entries.find((entry) => entry.configName === config)?.configValue);
      if (value("max.message.bytes") < needed) {
        const text = `${topic} takes batches of ${value("max.message.bytes")} bytes, recordBytes ${settings.recordBytes} needs max.message.bytes ${needed}`;
        throw fault("queue.topic-config", text);
      }
      const compared = this.#compared.has(name);
      this.#compared.add(name);
      if (compared || value("retention.ms") === retainMs) continue;
      log.warn("topic keeps records for another time than asked", {
        topic,
        has: value("retention.ms"),
        asked: retainMs,
      });
    }
  }

  async #awaitLeaders(admin: Admin, specs: readonly TopicSpec[], signal: AbortSignal): Promise<void> {
    const { world, names, settings } = this.#options;
    const deadline = world.elapsed() + settings.ackTimeout;
    for (;;) {
      const present = await abortable(this.#present(admin, specs).catch(notYet), signal);
      const waiting = specs.filter(({ name, partitions }) => {
        const leaders = present.get(name);
        if (leaders === undefined || leaders.length < partitions) return true;
        return leaders.includes(-1);
      });
      for (const { name, partitions } of specs) {
        const leaders = present.get(name);
        if (leaders === undefined || leaders.length <= partitions) continue;
        throw fault("queue.partitions", `${names.topic(name)} has ${leaders.length} partitions, not ${partitions}`);
      }
      if (waiting.length === 0) {
        for (const { name } of specs) this.#know(name, present.get(name) as number[]);
        return;
      }
      if (world.elapsed() > deadline) {
        const text = `no leaders for ${waiting.map(({ name }) => names.topic(name)).join(", ")}`;
        throw fault("queue.unavailable", `${text} within ${settings.ackTimeout} ms`);
      }
      await world.sleep(pollMs, signal);
    }
  }
}

async function usualCopies(admin: Admin): Promise<number> {
  return Math.min(mostCopies, (await admin.describeCluster()).brokers.length);
}

function isNotYet(error: unknown): boolean {
  const types = errorTypes(error);
  return types.some((type) => type === "UNKNOWN_TOPIC_OR_PARTITION" || type === "LEADER_NOT_AVAILABLE");
}

function notYet(error: unknown): Map<string, number[]> {
  if (isNotYet(error)) return new Map();
  throw error;
}
