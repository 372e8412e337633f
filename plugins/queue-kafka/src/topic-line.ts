import type { Entry } from "./sending.ts";

/** Records of one partition that go together; once formed it is never changed, so that a repetition is recognised. */
export interface Batch {
  readonly line: PartitionLine;
  readonly entries: readonly Entry[];
  /** The producer that may already have written it. */
  triedBy: unknown;
}

export interface BatchLimits {
  /** Of one partition in one request. */
  readonly bytes: number;
  readonly records: number;
  /** Of one request. */
  readonly requestBytes: number;
}

/** What waits for one partition. At most one batch of it is on its way. */
export class PartitionLine {
  readonly partition: number;
  readonly waiting: Entry[] = [];
  /** Formed and without an outcome. */
  batch: Batch | undefined;
  busy = false;

  constructor(partition: number) {
    this.partition = partition;
  }

  get empty(): boolean {
    return this.batch === undefined && this.waiting.length === 0;
  }

  /** The batch to send next, formed of what waits; `drop` gets entries whose callers have gone. */
  form(limits: BatchLimits, drop: (entry: Entry) => void): Batch | undefined {
    if (this.batch !== undefined) return this.batch;
    const entries: Entry[] = [];
    let bytes = 0;
    let taken = 0;
    for (const entry of this.waiting) {
      if (!entry.sending.ended && entries.length > 0 && bytes + entry.bytes > limits.bytes) break;
      if (entries.length === limits.records) break;
      taken += 1;
      if (entry.sending.ended) {
        drop(entry);
        continue;
      }
      entries.push(entry);
      bytes += entry.bytes;
    }
    this.waiting.splice(0, taken);
    if (entries.length > 0) this.batch = { line: this, entries, triedBy: undefined };
    return this.batch;
  }
}

/** What waits for one topic, and which broker leads which partition as far as the producer has told. */
export class TopicLine {
  /** As Kafka knows it. */
  readonly name: string;
  readonly partitions: readonly PartitionLine[];
  readonly leaders: number[];
  readonly busyLeaders = new Set<number>();
  readonly #ready = new Set<PartitionLine>();

  constructor(name: string, leaders: readonly number[]) {
    this.name = name;
    this.leaders = [...leaders];
    this.partitions = leaders.map((_, partition) => new PartitionLine(partition));
  }

  push(entry: Entry): void {
    const line = this.partitions[entry.partition] as PartitionLine;
    line.waiting.push(entry);
    if (!line.busy) this.#ready.add(line);
  }

  /** Leaders that have something to be sent and no request under way. */
  idleLeaders(): Set<number> {
    const leaders = new Set<number>();
    for (const { partition } of this.#ready) leaders.add(this.#leader(partition));
    for (const leader of this.busyLeaders) leaders.delete(leader);
    return leaders;
  }

  /** Takes what goes into the next request to a leader; `giveBack` returns it. */
  take(leader: number, limits: BatchLimits, drop: (entry: Entry) => void): Batch[] {
    const batches: Batch[] = [];
    let bytes = 0;
    for (const line of [...this.#ready]) {
      if (this.#leader(line.partition) !== leader) continue;
      if (bytes >= limits.requestBytes) break;
      this.#ready.delete(line);
      const batch = line.form(limits, drop);
      if (batch === undefined) continue;
      line.busy = true;
      batches.push(batch);
      for (const entry of batch.entries) bytes += entry.bytes;
    }
    return batches;
  }

  /** The batches are no longer on their way; those that are still the line's come again unchanged. */
  giveBack(batches: readonly Batch[]): void {
    for (const { line } of batches) {
      line.busy = false;
      if (!line.empty) this.#ready.add(line);
    }
  }

  /** Everything without an outcome. */
  drain(): Entry[] {
    this.#ready.clear();
    return this.partitions.flatMap((line) => {
      const entries = [...(line.batch?.entries ?? []), ...line.waiting.splice(0)];
      line.batch = undefined;
      return entries;
    });
  }

  #leader(partition: number): number {
    return this.leaders[partition] as number;
  }
}
