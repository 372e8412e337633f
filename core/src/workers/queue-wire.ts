import {
  type BatchFailure,
  BatchFault,
  type CallOptions,
  Fault,
  type InRecord,
  isFault,
  type OutRecord,
  onAbort,
  type PartitionReader,
  type Plain,
  type QueueBackend,
  type ReadBatch,
  type TopicSpec,
} from "@heddle/plugin-sdk";
import type { Service } from "./answerer.ts";
import type { Caller, OpenCall } from "./caller.ts";

/** A send beyond it goes in several frames, a batch beyond it is cut: the rest comes with the next. */
const partBytes = 16 * 1024 * 1024;
const recordFields = 4;

export interface QueueInfo {
  readonly limits: QueueBackend["limits"];
  readonly lag: boolean;
}

export const queueInfo = (queue: QueueBackend): QueueInfo => ({
  limits: { ...queue.limits },
  lag: queue.lag !== undefined,
});

/** The parent's side: the readers that one worker has opened. */
export class QueueService implements Service {
  readonly brief = new Set(["send", "settle"]);
  readonly #queue: QueueBackend;
  readonly #readers = new Map<
    number,
    { readonly reader: PartitionReader; batch: ReadBatch | undefined; number: number }
  >();

  constructor(queue: QueueBackend) {
    this.#queue = queue;
  }

  serve(method: string, args: readonly any[], call: CallOptions): unknown {
    switch (method) {
      case "send":
        return this.#queue.send(args[0], outRecords(args[1]), call);
      case "read":
        return this.#read(args, call);
      case "settle":
        return this.#settle(args, call);
      case "closeReader":
        return this.#close(args[0]);
      case "ensure":
        return this.#queue.ensure(args[0] as readonly TopicSpec[], call);
      case "lag":
        return this.#queue.lag?.({ topic: args[0], group: args[1] }, call);
      default:
        throw unknownMethod("queue", method);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#readers.keys()].map((id) => this.#close(id)));
  }

  async #read([id, max, topic, group, partition]: readonly any[], call: CallOptions): Promise<Plain> {
    let open = this.#readers.get(id);
    if (open === undefined) {
      open = { reader: this.#queue.reader({ topic, group, partition }), batch: undefined, number: 0 };
      this.#readers.set(id, open);
    }
    open.batch = await open.reader.read(max, call);
    open.number += 1;
    const flat: Plain[] = [];
    let bytes = 0;
    for (const { partition: at, key, body, headers, position, attempt, sentAt } of open.batch.records) {
      bytes += body.length;
      if (flat.length > 0 && bytes > partBytes) break;
      flat.push([at, key, body, headers, position, attempt, sentAt] as Plain);
    }
    return [open.number, flat];
  }

  async #settle([id, number, done, retryInMs]: readonly any[], { signal }: CallOptions): Promise<void> {
    const open = this.#readers.get(id);
    if (open?.batch === undefined || open.number !== number) {
      throw new Fault("conflict", "queue.settle", `cannot settle ${done} records: the batch was given up before`);
    }
    await open.batch.settle(done, typeof retryInMs === "number" ? { signal, retryInMs } : { signal });
  }

  async #close(id: number): Promise<void> {
    const open = this.#readers.get(id);
    this.#readers.delete(id);
    await open?.reader[Symbol.asyncDispose]();
  }
}

/** The worker's side. */
export class RemoteQueue implements QueueBackend {
  readonly limits: QueueBackend["limits"];
  readonly lag?: NonNullable<QueueBackend["lag"]>;
  readonly #caller: Caller;
  readonly #service: number;
  /** Partitions of the topics that this worker has made sure of. */
  readonly #topics = new Map<string, number>();
  #lastReader = 0;

  constructor(caller: Caller, service: number, { limits, lag }: QueueInfo) {
    this.#caller = caller;
    this.#service = service;
    this.limits = limits;
    if (lag) {
      this.lag = async ({ topic, group }, call) =>
        (await caller.call(service, "lag", [topic, group], call)) as unknown as readonly number[];
    }
  }

  async ensure(topics: readonly TopicSpec[], call: CallOptions): Promise<void> {
    await this.#caller.call(this.#service, "ensure", [topics as unknown as Plain], call);
    for (const { name, partitions } of topics) this.#topics.set(name, partitions);
  }

  async send(topic: string, records: readonly OutRecord[], call: CallOptions): Promise<void> {
    const parts = this.#parts(topic, records);
    if (parts.length === 1) return void (await this.#sendPart(topic, records, call));
    const outcomes = await Promise.allSettled(parts.map((part) => this.#sendPart(topic, part, call)));
    const failures = failuresOf(parts, outcomes);
    if (failures.length === 0) return;
    call.signal.throwIfAborted();
    const text = `${failures.length} of ${records.length} records are not known to be durable`;
    throw new BatchFault("queue.send-failed", `back-ends: send to ${topic}: ${text}`, failures);
  }

  reader({ topic, group, partition }: Parameters<QueueBackend["reader"]>[0]): PartitionReader {
    this.#refuseUnknown(topic, partition);
    const id = ++this.#lastReader;
    return new RemoteReader(
      (method, args) => this.#caller.open(this.#service, method, [id, ...args]),
      [topic, group, partition],
    );
  }

  #sendPart(topic: string, records: readonly OutRecord[], call: CallOptions): Promise<unknown> {
    const flat: Plain[] = new Array(records.length * recordFields);
    let at = 0;
    for (const { partition, key, body, headers } of records) {
      flat[at++] = partition;
      flat[at++] = key;
      flat[at++] = body;
      flat[at++] = headers as Plain;
    }
    return this.#caller.call(this.#service, "send", [topic, flat], call);
  }

  /** Refused as a whole or not at all, also when it goes in parts: so what can be refused is looked at first. */
  #parts(topic: string, records: readonly OutRecord[]): readonly (readonly OutRecord[])[] {
    let bytes = 0;
    for (const { body } of records) bytes += body.length;
    if (bytes <= partBytes) return [records];
    const parts: OutRecord[][] = [[]];
    bytes = 0;
    for (const record of records) {
      if (record.body.length > this.limits.recordBytes) {
        const text = `back-ends: a record of ${record.body.length} bytes, the limit is ${this.limits.recordBytes}`;
        throw new Fault("invalid", "queue.record-too-large", text);
      }
      this.#refuseUnknown(topic, record.partition);
      bytes += record.body.length;
      if (bytes > partBytes) {
        parts.push([]);
        bytes = record.body.length;
      }
      parts.at(-1)?.push(record);
    }
    return parts;
  }

  /** A topic that this worker has not made sure of is looked at by the first call that uses it. */
  #refuseUnknown(topic: string, partition: number): void {
    const partitions = this.#topics.get(topic);
    if (partitions === undefined || (partition >= 0 && partition < partitions)) return;
    const text = `back-ends: topic ${topic} has ${partitions} partitions, there is no partition ${partition}`;
    throw new Fault("missing", "queue.partition-unknown", text);
  }
}

/** A read that was given up may have been answered already; what it brought is for the next one. */
class RemoteReader implements PartitionReader {
  readonly #open: (method: string, args: readonly Plain[]) => OpenCall;
  readonly #at: readonly Plain[];
  #left: Promise<ReadBatch | undefined> = Promise.resolve(undefined);
  #closed = false;

  constructor(open: (method: string, args: readonly Plain[]) => OpenCall, at: readonly Plain[]) {
    this.#open = open;
    this.#at = at;
  }

  async read(max: number, { signal }: CallOptions): Promise<ReadBatch> {
    signal.throwIfAborted();
    if (this.#closed) throw new Fault("conflict", "queue.reader-closed", "back-ends: this reader is closed");
    const left = await this.#left;
    this.#left = Promise.resolve(undefined);
    signal.throwIfAborted();
    if (left !== undefined) return left.records.length <= max ? left : cut(left, max);
    const reading = this.#open("read", [max, ...this.#at]);
    const batch = reading.answer.then((value) => this.#batch(value as readonly any[]));
    return new Promise((resolve, reject) => {
      const forget = onAbort(signal, () => {
        reading.cancel();
        this.#left = batch.catch(() => undefined);
        reject(signal.reason);
      });
      // Forgotten in the same step: a batch is either handed out here or left for the next read, never both.
      batch.then(
        (read) => {
          forget();
          resolve(read);
        },
        (error) => {
          forget();
          reject(error);
        },
      );
    });
  }

  #batch([number, rows]: readonly any[]): ReadBatch {
    const records = (rows as readonly any[]).map(inRecord);
    const settle = async (done: number, { signal, retryInMs }: CallOptions & { retryInMs?: number }) => {
      signal.throwIfAborted();
      if (done > records.length) {
        const text = `back-ends: cannot settle ${done} records: the batch holds ${records.length} records`;
        throw new Fault("conflict", "queue.settle", text);
      }
      await this.#open("settle", [number, done, retryInMs]).answer;
    };
    return { records, settle };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#open("closeReader", []).answer;
    } catch (error) {
      // With the connection everything that this worker read was given up.
      if (!isFault(error) || error.code !== "workers.closed") throw error;
    }
  }
}

function cut({ records, settle }: ReadBatch, max: number): ReadBatch {
  return { records: records.slice(0, max), settle: (done, call) => settle(Math.min(done, max), call) };
}

function inRecord([partition, key, body, headers, position, attempt, sentAt]: readonly any[]): InRecord {
  return headers === null
    ? { partition, key, body, position, attempt, sentAt }
    : { partition, key, body, headers, position, attempt, sentAt };
}

function outRecords(flat: readonly any[]): OutRecord[] {
  const records: OutRecord[] = new Array(flat.length / recordFields);
  for (let i = 0, at = 0; i < records.length; i++, at += recordFields) {
    const [partition, key, body, headers] = [flat[at], flat[at + 1], flat[at + 2], flat[at + 3]];
    records[i] = headers === null ? { partition, key, body } : { partition, key, body, headers };
  }
  return records;
}

function failuresOf(parts: readonly (readonly unknown[])[], outcomes: readonly PromiseSettledResult<unknown>[]) {
  const failures: BatchFailure[] = [];
  let first = 0;
  for (const [at, part] of parts.entries()) {
    const outcome = outcomes[at];
    if (outcome?.status === "rejected") {
      const fault = outcome.reason as Fault;
      const named = (fault as Partial<BatchFault>).failures;
      if (named === undefined) failures.push(...part.map((_, i) => ({ index: first + i, fault })));
      else failures.push(...named.map(({ index, fault: own }) => ({ index: first + index, fault: own })));
    }
    first += part.length;
  }
  return failures;
}

export const unknownMethod = (service: string, method: string) =>
  new Fault("internal", "workers.method", `the service ${service} has no ${method}`);
