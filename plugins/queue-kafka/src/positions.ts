import type { World } from "@heddle/plugin-sdk";
import type { Admin, Producer, TopicOffsets } from "kafkajs";
import { asKafkaFault, errorTypes } from "./faults.ts";
import { type Link, within } from "./link.ts";
import type { Trouble } from "./trouble.ts";

/** A transaction whose predecessor is still being finished is tried again this often, this many times. */
const busyMs = 5;
const busyTries = 200;
const visibleMs = 5;
const retryMs = 500;
/** Kafka forgets positions that nobody renews, by default after seven days. */
const renewMs = 12 * 3_600_000;

/** How far a reader has come, and how far Kafka knows. */
export interface Cursor {
  /** Names as Kafka knows them. */
  readonly topic: string;
  readonly group: string;
  readonly partition: number;
  /** The first offset that is not settled; undefined while nothing ever was. */
  settled: number | undefined;
  committed: number | undefined;
  committedAt: number;
}

export interface PositionsOptions {
  readonly world: World;
  readonly trouble: Trouble;
  readonly admins: Link<Admin>;
  /** Transactional producers. */
  readonly committers: Link<Producer>;
  readonly delayMs: number;
  committed(seconds: number): void;
}

/**
 * Positions, in Kafka groups that nobody joins. A transaction is the only public call of the driver that commits to such
 * a group soon; one of them takes the positions of all readers of this node.
 */
export class Positions {
  readonly #options: PositionsOptions;
  readonly #cursors = new Set<Cursor>();
  readonly #dirty = new Set<Cursor>();
  readonly #loads = new Map<string, SharedLoad<ReadonlyMap<number, number>>>();
  #timer: Disposable | undefined;
  #committing: Promise<void> | undefined;

  constructor(options: PositionsOptions) {
    this.#options = options;
  }

  /** Positions of a topic's partitions in a group as they are after this call began; those without one are left out. */
  load(group: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const key = `${group} ${topic}`;
    let load = this.#loads.get(key);
    if (load === undefined) {
      load = new SharedLoad(() => this.#fetch(group, topic));
      this.#loads.set(key, load);
    }
    return load.get();
  }

  opened(cursor: Cursor): void {
    this.#cursors.add(cursor);
  }

  /** The cursor has moved: it is committed within `delayMs`. */
  moved(cursor: Cursor): void {
    this.#dirty.add(cursor);
    this.#arm(this.#options.delayMs);
  }

  /** Resolves when whoever reads the cursor's position from Kafka sees it; rejects with a fault, at last after `withinMs`. */
  async handOver(cursor: Cursor, withinMs: number): Promise<void> {
    const { world } = this.#options;
    const deadline = world.elapsed() + withinMs;
    try {
      const { settled } = cursor;
      if (settled === undefined) return;
      while (cursor.committed !== settled) {
        this.#dirty.add(cursor);
        await within(world, deadline - world.elapsed(), this.commit());
      }
      for (;;) {
        const seen = await within(world, deadline - world.elapsed(), this.load(cursor.group, cursor.topic));
        if ((seen.get(cursor.partition) ?? -1) >= settled) return;
        await new Promise<void>((resolve) => void world.timer(visibleMs, resolve));
      }
    } finally {
      // Whoever has the partition next commits for it: an old position must not come after theirs.
      this.#cursors.delete(cursor);
      this.#dirty.delete(cursor);
    }
  }

  /** Commits what is dirty now, together with what comes while an earlier commit is under way. */
  async commit(): Promise<void> {
    // Whoever began that commit is told when it fails; what it did not save is in the next one.
    while (this.#committing !== undefined) await this.#committing.catch(() => {});
    if (this.#dirty.size === 0) return;
    this.#committing = this.#commit().finally(() => {
      this.#committing = undefined;
    });
    await this.#committing;
  }

  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#dirty.clear();
    this.#cursors.clear();
  }

  #arm(ms: number): void {
    this.#timer ??= this.#options.world.timer(ms, () => {
      this.#timer = undefined;
      this.#renew();
      this.commit().then(
        () => this.#dirty.size > 0 && this.#arm(this.#options.delayMs),
        () => this.#arm(retryMs),
      );
    });
  }

  #renew(): void {
    const now = this.#options.world.elapsed();
    for (const cursor of this.#cursors) {
      if (cursor.settled !== undefined && now - cursor.committedAt > renewMs) this.#dirty.add(cursor);
    }
  }

  async #commit(): Promise<void> {
    const { world, committers, trouble, committed } = this.#options;
    const cursors = [...this.#dirty];
    const values = cursors.map(({ settled }) => settled);
    this.#dirty.clear();
    const began = world.elapsed();
    try {
      await this.#transaction(await committers.get(), byGroup(cursors));
    } catch (error) {
      for (const cursor of cursors) if (this.#cursors.has(cursor)) this.#dirty.add(cursor);
      const reason = asKafkaFault(error, "saving positions");
      trouble.begin("saving positions", reason);
      throw reason;
    }
    cursors.forEach((cursor, i) => {
      cursor.committed = values[i];
      cursor.committedAt = began;
      if (cursor.settled !== values[i] && this.#cursors.has(cursor)) this.#dirty.add(cursor);
    });
    committed((world.elapsed() - began) / 1_000);
    trouble.end("saving positions");
  }

  async #transaction(producer: Producer, groups: ReadonlyMap<string, TopicOffsets[]>): Promise<void> {
    const { world, committers } = this.#options;
    for (let tries = 1; ; tries += 1) {
      const transaction = await producer.transaction();
      try {
        for (const [consumerGroupId, topics] of groups) await transaction.sendOffsets({ consumerGroupId, topics });
        await transaction.commit();
        return;
      } catch (error) {
        const busy = errorTypes(error).includes("CONCURRENT_TRANSACTIONS") && tries < busyTries;
        // Nothing has been added to the transaction, so aborting it costs no request.
        if (busy) await transaction.abort();
        else {
          committers.drop(producer);
          throw error;
        }
      }
      await new Promise<void>((resolve) => void world.timer(busyMs, resolve));
    }
  }

  async #fetch(groupId: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const { admins, trouble } = this.#options;
    let admin: Admin | undefined;
    try {
      admin = await admins.get();
      const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic] });
      const found = new Map<number, number>();
      for (const { partition, offset } of offsets?.partitions ?? []) {
        if (Number(offset) >= 0) found.set(partition, Number(offset));
      }
      trouble.end("finding positions");
      return found;
    } catch (error) {
      if (admin !== undefined) admins.drop(admin);
      const reason = asKafkaFault(error, `positions of ${groupId} in ${topic}`);
      trouble.begin("finding positions", reason);
      throw reason;
    }
  }
}

function byGroup(cursors: readonly Cursor[]): ReadonlyMap<string, TopicOffsets[]> {
  const groups = new Map<string, Map<string, { partition: number; offset: string }[]>>();
  for (const { group, topic, partition, settled } of cursors) {
    const topics = groups.get(group) ?? new Map<string, { partition: number; offset: string }[]>();
    groups.set(group, topics);
    const partitions = topics.get(topic) ?? [];
    topics.set(topic, partitions);
    partitions.push({ partition, offset: String(settled) });
  }
  return new Map(
    [...groups].map(([group, topics]) => [group, [...topics].map(([topic, partitions]) => ({ topic, partitions }))]),
  );
}

/** Many callers, one request: each gets the answer to a request that began after it had asked. */
class SharedLoad<T> {
  readonly #load: () => Promise<T>;
  #running: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(load: () => Promise<T>) {
    this.#load = load;
  }

  get(): Promise<T> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  #start(): Promise<T> {
    this.#next = undefined;
    const running = this.#load().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}
