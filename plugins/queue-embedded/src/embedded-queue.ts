import type {
  CallOptions,
  Health,
  OutRecord,
  PartitionReader,
  QueueBackend,
  Startable,
  TopicSpec,
} from "@heddle/plugin-sdk";
import type { Disk } from "./disk.ts";
import { fault } from "./faults.ts";
import { type OpenQueue, openQueue, type QueueParts } from "./open-queue.ts";

/** A directory taken for this process alone; disposing lets another one have it. */
export interface Place extends AsyncDisposable {
  readonly disk: Disk;
}

/** The queue back-end over one directory; may be started again after it was disposed. */
export class EmbeddedQueue implements QueueBackend, Startable {
  readonly limits: QueueBackend["limits"];
  readonly #parts: Omit<QueueParts, "disk">;
  readonly #take: () => Promise<Place>;
  #open: { readonly queue: OpenQueue; readonly place: Place } | undefined;

  constructor(parts: Omit<QueueParts, "disk">, take: () => Promise<Place>) {
    this.#parts = parts;
    this.#take = take;
    this.limits = { recordBytes: parts.limits.recordBytes, batchRecords: 10_000 };
  }

  async start(signal: AbortSignal): Promise<void> {
    if (this.#open !== undefined) return;
    signal.throwIfAborted();
    const place = await this.#take();
    try {
      this.#open = { place, queue: await openQueue({ ...this.#parts, disk: place.disk }, signal) };
    } catch (error) {
      await place[Symbol.asyncDispose]();
      throw error;
    }
  }

  async ensure(topics: readonly TopicSpec[], call: CallOptions): Promise<void> {
    return this.#running().ensure(topics, call);
  }

  send(topic: string, records: readonly OutRecord[], call: CallOptions): Promise<void> {
    const open = this.#open;
    return open === undefined ? Promise.reject(notRunning()) : open.queue.send(topic, records, call);
  }

  reader(at: { readonly topic: string; readonly group: string; readonly partition: number }): PartitionReader {
    return this.#running().reader(at);
  }

  async lag(
    at: { readonly topic: string; readonly group: string },
    { signal }: CallOptions,
  ): Promise<readonly number[]> {
    signal.throwIfAborted();
    return this.#running().lag(at);
  }

  health(): Health {
    return this.#open?.queue.health() ?? { state: "down", detail: "not started" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    try {
      await open.queue.close();
    } finally {
      await open.place[Symbol.asyncDispose]();
    }
  }

  #running(): OpenQueue {
    if (this.#open === undefined) throw notRunning();
    return this.#open.queue;
  }
}

function notRunning() {
  return fault("queue.closed", "the queue is not running");
}
