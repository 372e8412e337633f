import {
  type ActorKind,
  type Actors,
  asFault,
  type CallOptions,
  Fault,
  type InRecord,
  type LaneHandler,
  type LaneSpec,
  type Lanes,
  type Log,
  type Plain,
  type QueueBackend,
  type Turn,
  type World,
} from "@heddle/plugin-sdk";
import type { Ownership, PartitionDuty } from "../cluster/ownership.ts";
import { sharedAbort } from "../shared-abort.ts";
import { Outbox } from "./outbox.ts";
import { type ConsumerCounters, PartitionConsumer } from "./partition-consumer.ts";

/** How long handlers may take to end when their partition goes; then their signals abort. */
const drainMs = 5_000;

interface Subscription {
  readonly lane: LaneSpec;
  readonly group: string;
  readonly handle: LaneHandler;
  readonly counters: ConsumerCounters;
  readonly consumers: Map<number, PartitionConsumer>;
}

export interface LaneCounters {
  readonly published: ReadonlyMap<string, { readonly published: number; readonly pending: number }>;
  readonly consumed: readonly { readonly lane: string; readonly group: string; readonly counters: ConsumerCounters }[];
}

export interface DurableLanesOptions {
  readonly world: World;
  readonly log: Log;
  readonly queue: QueueBackend;
  readonly ownership: Ownership;
  readonly actors: Actors;
}

/** A key of a lane, on its owner: what is passed to it without being stored. */
interface LaneVerbs {
  handle(record: { readonly lane: string; readonly body: Plain }): Promise<void>;
}

/** Durable consumption by ownership: one reader per owned partition and group. */
export class DurableLanes implements Lanes, PartitionDuty {
  readonly kind: ActorKind<LaneVerbs> = {
    kind: "lane",
    placement: "partition",
    concurrency: 4_096,
    mailbox: 4_096,
    idleMs: 10_000,
    activate: ({ key }) => ({ handle: ({ lane, body }, turn) => this.#handle({ lane, key, body }, turn) }),
  };
  readonly #options: DurableLanesOptions;
  readonly #outboxes = new Map<string, Outbox>();
  readonly #subscriptions = new Set<Subscription>();
  readonly #topics = new Map<string, Promise<void>>();
  readonly #closed = sharedAbort();

  constructor(options: DurableLanesOptions) {
    this.#options = options;
  }

  publish(lane: LaneSpec, key: string, body: Plain, call: CallOptions): Promise<void> {
    if (call.signal.aborted) return Promise.reject(call.signal.reason);
    const outbox = this.#outboxes.get(lane.name);
    if (outbox !== undefined) return outbox.publish(lane, key, body);
    return this.#ensure(lane.name, lane.retainMs).then(() => this.#outbox(lane).publish(lane, key, body));
  }

  #outbox(lane: LaneSpec): Outbox {
    let outbox = this.#outboxes.get(lane.name);
    if (outbox === undefined) {
      const { world, queue, ownership } = this.#options;
      const partitionOf = (key: string) => ownership.partitionOf(key);
      outbox = new Outbox({ world, queue, topic: lane.name, signal: this.#closed.signal, partitionOf });
      this.#outboxes.set(lane.name, outbox);
    }
    return outbox;
  }

  /** The topic exists from here on; a failure is forgotten, so that the next caller tries again. */
  #ensure(topic: string, retainMs: number): Promise<void> {
    let ready = this.#topics.get(topic);
    if (ready === undefined) {
      const { queue, ownership } = this.#options;
      ready = queue.ensure([{ name: topic, partitions: ownership.partitions, retainMs }], {
        signal: this.#closed.signal,
      });
      this.#topics.set(topic, ready);
      ready.catch(() => this.#topics.delete(topic));
    }
    return ready;
  }

  async pass(lane: LaneSpec, key: string, body: Plain, call: CallOptions): Promise<void> {
    await this.#options.actors.ref(this.kind, key).ask("handle", { lane: lane.name, body }, call);
  }

  async #handle({ lane, key, body }: { lane: string; key: string; body: Plain }, turn: Turn): Promise<void> {
    const heard = [...this.#subscriptions].filter((one) => one.lane.name === lane);
    if (heard.length === 0) throw new Fault("missing", "lane.unheard", `nobody on this node consumes lane ${lane}`);
    const sentAt = this.#options.world.now();
    await Promise.all(heard.map(({ handle }) => handle(key, body, { ...turn, attempt: 1, sentAt })));
  }

  consume(lane: LaneSpec, group: string, handle: LaneHandler): AsyncDisposable {
    const counters = { handled: 0, retried: 0, skipped: 0, inProgress: 0 };
    const subscription: Subscription = { lane, group, handle, counters, consumers: new Map() };
    this.#subscriptions.add(subscription);
    void this.#begin(subscription);
    return {
      [Symbol.asyncDispose]: async () => {
        this.#subscriptions.delete(subscription);
        await Promise.all([...subscription.consumers.values()].map((consumer) => consumer.stop()));
      },
    };
  }

  /**
   * The topics of all lanes that are consumed so far. Rejects with what waiting does not mend, such as data that were
   * made with another number of partitions; what may pass is tried again behind it.
   */
  async prepare(): Promise<void> {
    for (const { lane } of this.#subscriptions) {
      try {
        await this.#ensure(lane.name, lane.retainMs);
      } catch (error) {
        if (!asFault(error).retryable) throw error;
      }
    }
  }

  async #begin(subscription: Subscription): Promise<void> {
    const { log, world, ownership } = this.#options;
    const { lane } = subscription;
    while (!this.#closed.signal.aborted && this.#subscriptions.has(subscription)) {
      try {
        await this.#ensure(lane.name, lane.retainMs);
        this.#outbox(lane);
        this.#open(subscription, [...ownership.servedPartitions]);
        return;
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        log.warn("lane topic not ready, trying again", { lane: lane.name, error });
        await new Promise<void>((resolve) => void world.timer(1_000, resolve));
      }
    }
  }

  #open(subscription: Subscription, partitions: readonly number[]): void {
    const { world, log, queue, ownership } = this.#options;
    const { lane, group, handle, counters, consumers } = subscription;
    for (const partition of partitions) {
      if (consumers.has(partition)) continue;
      const consumer = new PartitionConsumer({
        world,
        log,
        lane,
        partition,
        handle,
        counters,
        open: () => queue.reader({ topic: lane.name, group, partition }),
        mayAct: () => ownership.mayAct,
        deadLetter: (record) => this.#deadLetter(lane, record),
      });
      consumers.set(partition, consumer);
    }
  }

  async #deadLetter(lane: LaneSpec, record: InRecord): Promise<void> {
    const { queue } = this.#options;
    const topic = `${lane.name}-dead`;
    await this.#ensure(topic, lane.retainMs);
    await queue.send(topic, [record], { signal: this.#closed.signal });
  }

  take(partitions: readonly number[]): void {
    for (const subscription of this.#subscriptions) {
      // A lane whose topic is not there yet opens its readers once it is.
      if (this.#outboxes.has(subscription.lane.name)) this.#open(subscription, partitions);
    }
  }

  async release(partitions: ReadonlySet<number>): Promise<void> {
    const leaving: PartitionConsumer[] = [];
    for (const { consumers } of this.#subscriptions) {
      for (const [partition, consumer] of consumers) {
        if (!partitions.has(partition)) continue;
        consumers.delete(partition);
        leaving.push(consumer);
      }
    }
    const bound = this.#options.world.timer(drainMs, () => {
      const fault = new Fault("unavailable", "lane.moved", `partition given up, the handler had ${drainMs} ms to end`);
      for (const consumer of leaving) consumer.abort(fault);
    });
    await Promise.all(leaving.map((consumer) => consumer.stop()));
    bound[Symbol.dispose]();
  }

  fence(): void {
    const fault = new Fault("unavailable", "lane.fenced", "this node lost its lease");
    for (const { consumers } of this.#subscriptions) {
      for (const consumer of consumers.values()) consumer.abort(fault);
      consumers.clear();
    }
  }

  counters(): LaneCounters {
    return {
      published: this.#outboxes,
      consumed: [...this.#subscriptions].map(({ lane, group, counters }) => ({ lane: lane.name, group, counters })),
    };
  }

  /** Sends in progress are given up; call after consumers have stopped. */
  close(): void {
    this.#closed.abort(new Fault("unavailable", "lane.closed", "this node is stopping"));
  }
}
