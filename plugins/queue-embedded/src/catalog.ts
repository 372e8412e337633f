import type { InRecord } from "@heddle/plugin-sdk";
import { Deque } from "./deque.ts";

/** The runs of one partition that lie in one segment; the three arrays go together. */
export interface Part {
  readonly segment: Segment;
  readonly partition: Partition;
  readonly firsts: number[];
  readonly offsets: number[];
  readonly ends: number[];
  /** One past the last position. */
  next: number;
}

/** One file of the log. */
export interface Segment {
  readonly id: number;
  readonly name: string;
  readonly parts: Part[];
  /** Bytes that count; what the file holds beyond them was never acknowledged. */
  end: number;
  /** When its newest record was sent. */
  newest: number;
}

/** Consecutive records of a partition that were written together, still in memory. */
export interface TailRun {
  readonly partition: Partition;
  readonly first: number;
  readonly next: number;
  readonly bytes: number;
  readonly records: readonly InRecord[];
}

export class Topic {
  readonly id: number;
  readonly name: string;
  retainMs: number;
  readonly partitions: readonly Partition[];
  readonly groups = new Map<string, Group>();

  constructor(id: number, spec: { readonly name: string; readonly partitions: number; readonly retainMs: number }) {
    this.id = id;
    this.name = spec.name;
    this.retainMs = spec.retainMs;
    this.partitions = Array.from({ length: spec.partitions }, (_, index) => new Partition(this, index));
  }
}

export class Partition {
  readonly topic: Topic;
  readonly index: number;
  /** Position of the next record. */
  next = 0;
  /** Where its records lie, oldest first. */
  parts: Part[] = [];
  /** The newest runs; what is missing in front is on disk or settled by every group. */
  readonly tail = new Deque<TailRun>();
  readonly cursors: Cursor[] = [];

  constructor(topic: Topic, index: number) {
    this.topic = topic;
    this.index = index;
  }

  /** Position of the oldest record that is still there. */
  get oldest(): number {
    return this.parts[0]?.firsts[0] ?? this.next;
  }

  /** Every group has settled what is below; nothing while there is no group. */
  get settled(): number {
    let least = this.cursors.length === 0 ? 0 : this.next;
    for (const cursor of this.cursors) least = Math.min(least, cursor.settled);
    return least;
  }

  /** Forgets runs in memory that nobody will ask for. */
  trim(): void {
    const settled = this.settled;
    for (let run = this.tail.at(0); run !== undefined && run.next <= settled; run = this.tail.at(0)) this.tail.shift();
  }
}

export class Group {
  readonly id: number;
  readonly name: string;
  readonly topic: Topic;
  readonly cursors: readonly Cursor[];

  constructor(id: number, name: string, topic: Topic) {
    this.id = id;
    this.name = name;
    this.topic = topic;
    this.cursors = topic.partitions.map((partition) => new Cursor(this, partition));
  }
}

/** Somebody who waits for the cursor to have something to read. */
export interface Lease extends AsyncDisposable {
  wake(): void;
}

/** How far one group has come in one partition. */
export class Cursor {
  readonly group: Group;
  readonly partition: Partition;
  /** Everything below is finished. */
  settled: number;
  /** Times a record was delivered without being settled, by position; only the few in question. */
  readonly attempts = new Map<number, number>();
  /** Monotonic ms before which nothing is delivered. */
  notBefore = 0;
  /** The position has changed since it was last written. */
  dirty = false;
  /** Who reads, then who would like to. */
  readonly leases: Lease[] = [];

  constructor(group: Group, partition: Partition) {
    this.group = group;
    this.partition = partition;
    this.settled = partition.oldest;
    partition.cursors.push(this);
  }
}

/** Everything the log knows: topics with their partitions, groups with their cursors. */
export class Catalog {
  readonly topics = new Map<string, Topic>();
  readonly topicsById: (Topic | undefined)[] = [];
  readonly groupsById: (Group | undefined)[] = [];

  addTopic(
    spec: { readonly name: string; readonly partitions: number; readonly retainMs: number },
    id?: number,
  ): Topic {
    const topic = new Topic(id ?? this.topicsById.length, spec);
    this.topics.set(topic.name, topic);
    this.topicsById[topic.id] = topic;
    return topic;
  }

  addGroup(topic: Topic, name: string, id?: number): Group {
    const group = new Group(id ?? this.groupsById.length, name, topic);
    topic.groups.set(name, group);
    this.groupsById[group.id] = group;
    return group;
  }
}

/** Notes where a run lies. */
export function indexRun(
  segment: Segment,
  partition: Partition,
  run: { readonly first: number; readonly count: number; readonly offset: number; readonly end: number },
): void {
  let part = partition.parts.at(-1);
  if (part?.segment !== segment) {
    part = { segment, partition, firsts: [], offsets: [], ends: [], next: run.first };
    partition.parts.push(part);
    segment.parts.push(part);
  }
  part.firsts.push(run.first);
  part.offsets.push(run.offset);
  part.ends.push(run.end);
  part.next = run.first + run.count;
}

/** Whether nobody needs a record of this segment any more. */
export function isSpent(segment: Segment, now: number): boolean {
  return segment.parts.every(
    ({ partition, next }) => partition.settled >= next || segment.newest + partition.topic.retainMs < now,
  );
}

/** Takes a deleted segment out of the index. */
export function forget(segment: Segment): void {
  for (const part of segment.parts) part.partition.parts = part.partition.parts.filter((other) => other !== part);
}
