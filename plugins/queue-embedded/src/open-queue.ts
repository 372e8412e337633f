import type { CallOptions, Health, Log, OutRecord, PartitionReader, TopicSpec, World } from "@heddle/plugin-sdk";
import { Admission } from "./admission.ts";
import type { Cursor, Topic } from "./catalog.ts";
import { Commit, recordBytes } from "./commit.ts";
import type { Disk } from "./disk.ts";
import { fault } from "./faults.ts";
import { Journal } from "./journal.ts";
import { loadRecords } from "./part-reader.ts";
import { CursorReader, type ReaderHost } from "./reader.ts";
import { recover } from "./recovery.ts";
import { Tail } from "./tail.ts";

/** Sizes in bytes, times in ms. */
export interface QueueLimits {
  readonly segmentBytes: number;
  readonly tailBytes: number;
  readonly pendingBytes: number;
  readonly recordBytes: number;
  readonly positionDelayMs: number;
}

/** What happens to the queue's figures; once per commit. */
export interface QueueMeter {
  commit(seconds: number, records: number): void;
  sizes(pendingBytes: number, logBytes: number): void;
}

export interface QueueParts {
  readonly disk: Disk;
  readonly world: World;
  readonly log: Log;
  readonly limits: QueueLimits;
  readonly meter: QueueMeter;
}

const probeMs = 1_000;
const sweepMs = 5_000;

/** The log of one directory while it is open. */
export class OpenQueue {
  readonly #parts: QueueParts;
  readonly #journal: Journal;
  readonly #tail: Tail;
  readonly #admission: Admission;
  readonly #host: ReaderHost;
  #gathering = new Commit();
  #dirty: Cursor[] = [];
  #catalogDirty = false;
  #positionsDue = false;
  #positionTimer: Disposable | undefined;
  #upkeep: Disposable | undefined;
  #sweepDue = false;
  #pump: Promise<void> | undefined;
  #trouble: { readonly since: number; readonly reason: unknown } | undefined;
  #closed = false;

  constructor(parts: QueueParts, journal: Journal) {
    this.#parts = parts;
    this.#journal = journal;
    this.#tail = new Tail(parts.limits.tailBytes);
    this.#admission = new Admission(parts.limits.pendingBytes);
    this.#host = {
      world: parts.world,
      load: (part, from, limit) => loadRecords(parts.disk, part, { from, ...limit }),
      moved: (cursor) => this.#moved(cursor),
    };
    this.#armUpkeep();
  }

  async ensure(topics: readonly TopicSpec[], { signal }: CallOptions): Promise<void> {
    this.#refuse();
    const { catalog } = this.#journal;
    for (const { name, partitions } of topics) {
      const known = catalog.topics.get(name)?.partitions.length;
      if (known !== undefined && known !== partitions) {
        throw fault("queue.partitions", `topic ${name} has ${known} partitions, not ${partitions}`);
      }
    }
    let changed = false;
    for (const spec of topics) {
      const known = catalog.topics.get(spec.name);
      if (known?.retainMs === spec.retainMs) continue;
      if (known === undefined) catalog.addTopic(spec);
      else known.retainMs = spec.retainMs;
      changed = true;
    }
    // A topic that another call has just added is durable with the commit that is under way or next.
    if (changed) this.#catalogDirty = true;
    if (!this.#catalogDirty && this.#pump === undefined) return;
    this.#catalogDirty = true;
    const outcome = this.#gathering.outcome(signal);
    this.#kick();
    await outcome;
  }

  send(name: string, records: readonly OutRecord[], { signal }: CallOptions): Promise<void> {
    let admitted: { readonly topic: Topic; readonly sizes: readonly number[]; readonly bytes: number };
    try {
      signal.throwIfAborted();
      this.#refuse();
      admitted = this.#check(name, records);
    } catch (error) {
      return Promise.reject(error);
    }
    const { topic, sizes, bytes } = admitted;
    if (records.length === 0) return Promise.resolve();
    if (this.#admission.take(bytes)) return this.#gather(topic, records, { sizes, signal });
    return this.#admission.wait(bytes, signal).then(() => this.#gather(topic, records, { sizes, signal }));
  }

  reader(at: { readonly topic: string; readonly group: string; readonly partition: number }): PartitionReader {
    if (this.#closed) throw closedFault();
    const topic = this.#topic(at.topic);
    let group = topic.groups.get(at.group);
    if (group === undefined) {
      group = this.#journal.catalog.addGroup(topic, at.group);
      this.#catalogDirty = true;
      this.#kick();
    }
    const cursor = group.cursors[at.partition];
    if (cursor === undefined) throw noPartition(topic, at.partition);
    return new CursorReader(cursor, this.#host);
  }

  /** Records not settled, by partition. */
  lag(at: { readonly topic: string; readonly group: string }): readonly number[] {
    const topic = this.#topic(at.topic);
    const group = topic.groups.get(at.group);
    return topic.partitions.map(
      ({ next, oldest }, index) => next - Math.max(oldest, group?.cursors[index]?.settled ?? 0),
    );
  }

  health(): Health {
    if (this.#trouble === undefined) return { state: "up" };
    const seconds = Math.round((this.#parts.world.elapsed() - this.#trouble.since) / 1_000);
    return { state: "down", detail: `nothing can be written for ${seconds} s: ${String(this.#trouble.reason)}` };
  }

  /** Writes what was accepted and where the groups stand, then lets go of the files. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#upkeep?.[Symbol.dispose]();
    this.#positionTimer?.[Symbol.dispose]();
    this.#admission.refuseAll(closedFault());
    const leases = this.#journal.catalog.groupsById.flatMap(
      (group) => group?.cursors.flatMap((cursor) => cursor.leases) ?? [],
    );
    for (const lease of leases) await lease[Symbol.asyncDispose]();
    this.#positionsDue = true;
    this.#kick();
    while (this.#pump !== undefined) await this.#pump;
    await this.#journal.close();
  }

  #topic(name: string): Topic {
    const topic = this.#journal.catalog.topics.get(name);
    if (topic === undefined) throw fault("queue.topic-unknown", `topic ${name} does not exist; call ensure first`);
    return topic;
  }

  #refuse(): void {
    if (this.#closed) throw closedFault();
    if (this.#trouble !== undefined) throw diskFault(this.#trouble.reason);
  }

  #check(name: string, records: readonly OutRecord[]) {
    const topic = this.#topic(name);
    const { recordBytes: limit, pendingBytes } = this.#parts.limits;
    const sizes: number[] = new Array(records.length);
    let bytes = 0;
    for (let i = 0; i < records.length; i += 1) {
      const record = records[i] as OutRecord;
      const size = recordBytes(record);
      if (topic.partitions[record.partition] === undefined) throw noPartition(topic, record.partition);
      if (size > limit) {
        const text = `record ${i} of ${records.length} for ${name} takes ${size} bytes, the limit is ${limit}`;
        throw fault("queue.record-too-large", text);
      }
      sizes[i] = size;
      bytes += size;
    }
    if (bytes > pendingBytes) {
      throw fault(
        "queue.batch-too-large",
        `${records.length} records take ${bytes} bytes, the limit is ${pendingBytes}`,
      );
    }
    return { topic, sizes, bytes };
  }

  #gather(
    topic: Topic,
    records: readonly OutRecord[],
    how: { readonly sizes: readonly number[]; readonly signal: AbortSignal },
  ): Promise<void> {
    const sentAt = this.#parts.world.now();
    const commit = this.#gathering;
    for (let i = 0; i < records.length; i += 1) {
      const record = records[i] as OutRecord;
      const partition = topic.partitions[record.partition];
      if (partition !== undefined) commit.add(partition, record, { bytes: how.sizes[i] as number, sentAt });
    }
    const outcome = commit.outcome(how.signal);
    this.#kick();
    return outcome;
  }

  #moved(cursor: Cursor): void {
    cursor.partition.trim();
    if (cursor.dirty) return;
    cursor.dirty = true;
    this.#dirty.push(cursor);
    if (this.#closed) return;
    this.#positionTimer ??= this.#parts.world.timer(this.#parts.limits.positionDelayMs, () => {
      this.#positionTimer = undefined;
      this.#positionsDue = true;
      this.#kick();
    });
  }

  #armUpkeep(): void {
    this.#upkeep = this.#parts.world.timer(this.#trouble === undefined ? sweepMs : probeMs, () => {
      this.#sweepDue = true;
      this.#kick();
      this.#armUpkeep();
    });
  }

  /** Starts the writer unless it runs. A microtask later, so that the sends of one turn make one commit. */
  #kick(): void {
    this.#pump ??= Promise.resolve().then(() => this.#run());
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        if (this.#sweepDue) await this.#tend();
        const { records } = this.#gathering;
        if (records === 0 && !this.#catalogDirty && !(this.#positionsDue && this.#dirty.length > 0)) break;
        if (this.#trouble !== undefined) {
          this.#failGathering(diskFault(this.#trouble.reason));
          break;
        }
        await this.#write();
      }
    } finally {
      this.#positionsDue = false;
      this.#pump = undefined;
    }
  }

  async #write(): Promise<void> {
    const { world, meter } = this.#parts;
    const commit = this.#gathering;
    this.#gathering = new Commit();
    const extras = {
      catalog: this.#catalogDirty,
      cursors: this.#dirty,
      sync: commit.records > 0 || this.#catalogDirty,
    };
    this.#catalogDirty = false;
    this.#dirty = [];
    for (const cursor of extras.cursors) cursor.dirty = false;
    const started = world.elapsed();
    try {
      const { runs, bytes } = await this.#journal.append(commit, extras);
      this.#tail.add(runs, bytes);
      for (const { partition } of runs) {
        for (const cursor of partition.cursors) cursor.leases[0]?.wake();
      }
      commit.finish();
      meter.commit((world.elapsed() - started) / 1_000, commit.records);
    } catch (error) {
      // The next segment's head repeats catalog and positions.
      const reason = diskFault(error);
      this.#fail(error);
      commit.finish(reason);
      this.#failGathering(reason);
    }
    this.#admission.give(commit.bytes);
    meter.sizes(this.#admission.pending, this.#journal.bytes);
  }

  #fail(reason: unknown): void {
    this.#parts.log.error("log cannot be written", { error: String(reason) });
    this.#trouble = { since: this.#parts.world.elapsed(), reason };
    this.#upkeep?.[Symbol.dispose]();
    if (!this.#closed) this.#armUpkeep();
  }

  #failGathering(reason: unknown): void {
    const commit = this.#gathering;
    this.#gathering = new Commit();
    this.#catalogDirty = false;
    commit.finish(reason);
    this.#admission.refuseAll(reason);
    this.#admission.give(commit.bytes);
  }

  async #tend(): Promise<void> {
    this.#sweepDue = false;
    try {
      await this.#journal.sweep();
      if (this.#trouble === undefined) return;
      await this.#journal.probe();
      this.#parts.log.info("log can be written again", {});
      this.#trouble = undefined;
    } catch (error) {
      if (this.#trouble === undefined) this.#fail(error);
    }
  }
}

/** Reads the directory's state and opens it for writing. */
export async function openQueue(parts: QueueParts, signal: AbortSignal): Promise<OpenQueue> {
  const { disk, world, log, limits } = parts;
  const recovered = await recover(disk, signal);
  return new OpenQueue(parts, new Journal(recovered, { disk, world, log, segmentBytes: limits.segmentBytes }));
}

function closedFault() {
  return fault("queue.closed", "the queue is not running");
}

function diskFault(reason: unknown) {
  return fault("queue.disk", `the log could not be written and synced: ${String(reason)}`, reason);
}

function noPartition({ name, partitions }: Topic, partition: number) {
  return fault("queue.partition-unknown", `topic ${name} has ${partitions.length} partitions, ${partition} is not one`);
}
