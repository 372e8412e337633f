import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import type { Log, World } from "@heddle/plugin-sdk";
import { configOf, realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import kafkajs, { type Admin, type ISocketFactory } from "kafkajs";
import card from "../../plugins/queue-kafka/src/index.ts";
import { KafkaQueue, type Meter } from "../../plugins/queue-kafka/src/kafka-queue.ts";
import type { Settings } from "../../plugins/queue-kafka/src/settings.ts";
import { TcpProxy } from "./tcp-proxy.ts";

export const quietMeter: Meter = { send() {}, pending() {}, commit() {}, reconnect() {}, throttled() {} };
export const never = new AbortController().signal;

/** A world whose ids no other test has. */
export const freshWorld = (): World => ({ ...realWorld(), uuid: () => randomUUID(), random: () => Math.random() });

/** Queues in a namespace of their own, and what makes them unreachable. */
export class KafkaRoom implements AsyncDisposable {
  readonly brokers: string;
  readonly prefix = `test-${randomUUID().slice(0, 8)}`;
  readonly #config: Readonly<Record<string, unknown>>;
  readonly #log: Log;
  #proxies: Map<string, TcpProxy> | undefined;

  constructor(brokers: string, config: Readonly<Record<string, unknown>> = {}, log: Log = silentLog) {
    this.brokers = brokers;
    this.#config = config;
    this.#log = log;
  }

  /** From here on queues reach each broker through a proxy, whatever address it advertises. */
  async proxied(): Promise<this> {
    this.#proxies = new Map();
    for (const broker of this.brokers.split(",")) this.#proxies.set(broker, await TcpProxy.open(broker));
    return this;
  }

  cut(): void {
    for (const proxy of this.#proxies?.values() ?? []) proxy.cut();
  }

  stall(): void {
    for (const proxy of this.#proxies?.values() ?? []) proxy.stall();
  }

  heal(): void {
    for (const proxy of this.#proxies?.values() ?? []) proxy.heal();
  }

  get settings(): Settings {
    return configOf(card, {
      brokers: [this.brokers],
      prefix: this.prefix,
      handOverWait: "5s",
      ...this.#config,
    }) as unknown as Settings;
  }

  queue(meter: Meter = quietMeter): KafkaQueue {
    const driver = this.#proxies === undefined ? {} : { socketFactory: this.#socketFactory(this.#proxies) };
    return new KafkaQueue({ world: freshWorld(), log: this.#log, settings: this.settings, meter, driver });
  }

  async started(meter: Meter = quietMeter): Promise<KafkaQueue> {
    const queue = this.queue(meter);
    await queue.start(AbortSignal.timeout(20_000));
    return queue;
  }

  async admin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const client = new kafkajs.Kafka({ brokers: this.brokers.split(","), logLevel: kafkajs.logLevel.NOTHING });
    const admin = client.admin();
    await admin.connect();
    try {
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#proxies?.values() ?? []) await proxy[Symbol.asyncDispose]();
    await this.admin(async (admin) => {
      const own = (await admin.listTopics()).filter((topic) => topic.startsWith(`${this.prefix}.`));
      if (own.length > 0) await admin.deleteTopics({ topics: own });
    });
  }

  #socketFactory(proxies: ReadonlyMap<string, TcpProxy>): ISocketFactory {
    return ({ host, port, onConnect }) => {
      const [at, through] = (proxies.get(`${host}:${port}`)?.address ?? `${host}:${port}`).split(":");
      return connect({ host: at as string, port: Number(through) }, onConnect);
    };
  }
}
