import { type Fault, type OutRecord, onAbort, type World } from "@heddle/plugin-sdk";
import type { Producer, RecordMetadata } from "kafkajs";
import { Admission } from "./admission.ts";
import { asKafkaFault, fault } from "./faults.ts";
import { type Link, within } from "./link.ts";
import { Request } from "./request.ts";
import { type Entry, entryOf, recordSize, Sending } from "./sending.ts";
import { type Batch, type BatchLimits, TopicLine } from "./topic-line.ts";
import type { Trouble } from "./trouble.ts";

/** The driver copies the records of a partition once for each of them. */
const batchRecords = 1_000;
const requestBytes = 4 * 1024 * 1024;
const reconnectMs = 200;
const recoverMs = 1_000;
/** How often open calls are looked at for their deadline. */
const sweepMs = 50;

export interface SendMeter {
  request(seconds: number, records: number): void;
  pending(bytes: number): void;
  /** A producer was given up because it no longer knows what it has written. */
  replaced(): void;
}

export interface SenderOptions {
  readonly world: World;
  readonly trouble: Trouble;
  readonly producers: Link<Producer>;
  readonly meter: SendMeter;
  readonly recordBytes: number;
  readonly pendingBytes: number;
  readonly ackTimeoutMs: number;
  /** The driver's limit for one attempt. */
  readonly requestMs: number;
}

/**
 * Gathers what is sent while a request is under way into the next one: per topic and leader one request at a time, per
 * partition one batch at a time. That keeps the order, and the broker recognises what is sent twice.
 */
export class Sender {
  readonly #options: SenderOptions;
  readonly #limits: BatchLimits;
  readonly #admission: Admission;
  readonly #topics = new Map<string, TopicLine>();
  readonly #open = new Set<Sending>();
  readonly #requests = new Set<Request>();
  /** Requests under way for each producer. */
  readonly #uses = new Map<Producer, Set<Promise<unknown>>>();
  #wake: Disposable | undefined;
  #sweep: Disposable | undefined;
  #recovery: Disposable | undefined;
  #closed = false;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#limits = { bytes: options.recordBytes, records: batchRecords, requestBytes };
    const bound = Math.max(options.pendingBytes, options.recordBytes);
    this.#admission = new Admission(bound, (bytes) => options.meter.pending(bytes));
  }

  /** The topic may be sent to; `leaders` are the brokers of its partitions. */
  know(topic: string, name: string, leaders: readonly number[]): void {
    if (!this.#topics.has(topic)) this.#topics.set(topic, new TopicLine(name, leaders));
  }

  async send(topic: string, records: readonly OutRecord[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#closed) throw closedFault();
    const line = this.#topics.get(topic);
    if (line === undefined) throw fault("queue.topic-unknown", `no topic ${topic}`);
    const sizes = this.#sizes(topic, line, records);
    if (records.length === 0) return;
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    if (!this.#admission.take(total)) await this.#room(total, signal);
    const sending = this.#begin(records.length, signal);
    for (let index = 0; index < records.length; index += 1) {
      line.push(entryOf(records[index] as OutRecord, { sending, index, bytes: sizes[index] as number }));
    }
    this.#soon();
    return sending.promise;
  }

  /** What is on its way is unsure from here on. */
  close(): void {
    this.#closed = true;
    this.#wake?.[Symbol.dispose]();
    this.#sweep?.[Symbol.dispose]();
    this.#recovery?.[Symbol.dispose]();
    this.#admission.refuseAll(closedFault());
    for (const request of this.#requests) request.end();
    for (const line of this.#topics.values()) for (const entry of line.drain()) this.#failed(entry, closedFault());
  }

  #sizes(topic: string, line: TopicLine, records: readonly OutRecord[]): number[] {
    const { recordBytes } = this.#options;
    return records.map((record) => {
      if (line.partitions[record.partition] === undefined) {
        const text = `${topic} has ${line.partitions.length} partitions, there is no ${record.partition}`;
        throw fault("queue.partition-unknown", text);
      }
      const bytes = recordSize(record);
      if (bytes <= recordBytes) return bytes;
      const text = `a record for ${topic} takes ${bytes} bytes, the limit is ${recordBytes}`;
      throw fault("queue.record-too-large", text);
    });
  }

  async #room(bytes: number, signal: AbortSignal): Promise<void> {
    await this.#admission.wait(bytes, signal);
    if (!this.#closed) return;
    this.#admission.give(bytes);
    throw closedFault();
  }

  #begin(count: number, signal: AbortSignal): Sending {
    const sending = new Sending(count, this.#options.world.elapsed() + this.#options.ackTimeoutMs);
    const forget = onAbort(signal, () => sending.abort(signal.reason));
    this.#open.add(sending);
    sending.onEnd = () => {
      forget();
      this.#open.delete(sending);
    };
    this.#sweep ??= this.#options.world.timer(sweepMs, () => this.#expire());
    return sending;
  }

  /** All calls have the same time, so the oldest come first. */
  #expire(): void {
    this.#sweep = undefined;
    const now = this.#options.world.elapsed();
    const text = `not acknowledged within ${this.#options.ackTimeoutMs} ms`;
    for (const sending of this.#open) {
      if (sending.deadline > now) break;
      sending.expire(fault("queue.unavailable", text));
    }
    if (this.#open.size > 0) this.#sweep = this.#options.world.timer(sweepMs, () => this.#expire());
  }

  /** After everything that is about to be sent now. */
  #soon(): void {
    this.#wake ??= this.#options.world.timer(0, () => {
      this.#wake = undefined;
      for (const line of this.#topics.values()) {
        for (const leader of line.idleLeaders()) this.#pump(line, leader);
      }
    });
  }

  #pump(line: TopicLine, leader: number): void {
    const batches = line.take(leader, this.#limits, (entry) => this.#admission.give(entry.bytes));
    if (batches.length === 0 || this.#closed) return;
    line.busyLeaders.add(leader);
    void this.#request(line, batches).finally(() => {
      line.busyLeaders.delete(leader);
      if (this.#closed) return;
      line.giveBack(batches);
      this.#soon();
    });
  }

  async #request(line: TopicLine, batches: readonly Batch[]): Promise<void> {
    const { world, trouble, meter, ackTimeoutMs } = this.#options;
    const request = new Request(line, batches);
    this.#requests.add(request);
    const began = world.elapsed();
    let producer: Producer | undefined;
    try {
      producer = await this.#producer(began + ackTimeoutMs);
      if (this.#doubtful(batches, producer)) return;
      const written = await this.#use(producer, this.#write(producer, request));
      this.#check(written, request);
      for (const batch of batches) this.#settle(batch);
      meter.request((world.elapsed() - began) / 1_000, request.messages.length);
      trouble.end("send");
    } catch (error) {
      request.end();
      if (request.split && this.#again(request, producer)) return;
      const reason = asKafkaFault(error, `sending to ${line.name}`);
      trouble.begin("send", reason);
      for (const batch of batches) this.#settle(batch, reason);
      if (producer !== undefined) this.#replace(producer);
      this.#recover();
    } finally {
      this.#requests.delete(request);
    }
  }

  /** Waits for a producer until `deadline`; what has not been handed to one is not written. */
  async #producer(deadline: number): Promise<Producer> {
    const { world, producers, trouble } = this.#options;
    for (;;) {
      try {
        return await producers.get();
      } catch (error) {
        trouble.begin("send", error);
        if (this.#closed || world.elapsed() + reconnectMs >= deadline) throw error;
        await new Promise<void>((resolve) => void world.timer(reconnectMs, resolve));
      }
    }
  }

  #write(producer: Producer, request: Request): Promise<RecordMetadata[]> {
    const { world, ackTimeoutMs, requestMs } = this.#options;
    const work = producer.sendBatch({
      acks: -1,
      timeout: requestMs,
      topicMessages: [{ topic: request.line.name, messages: request.messages as Entry[] }],
    });
    return within(world, ackTimeoutMs + requestMs, work);
  }

  async #use<T>(producer: Producer, work: Promise<T>): Promise<T> {
    const uses = this.#uses.get(producer) ?? new Set();
    this.#uses.set(producer, uses);
    uses.add(work);
    try {
      return await work;
    } finally {
      uses.delete(work);
      if (uses.size === 0) this.#uses.delete(producer);
    }
  }

  /** The driver has to name every partition that was to be written. */
  #check(written: readonly RecordMetadata[], { line, batches }: Request): void {
    const partitions = new Set(written.map(({ partition }) => partition));
    const missing = batches.filter((batch) => !partitions.has(batch.line.partition));
    if (missing.length === 0) return;
    const text = `no answer for ${missing.length} of ${batches.length} partitions of ${line.name}`;
    throw fault("queue.unavailable", text);
  }

  /** The parts go out separately, unchanged, through the producer that may have written them. */
  #again(request: Request, producer: Producer | undefined): boolean {
    if (producer === undefined || this.#closed || !this.#options.producers.isCurrent(producer)) return false;
    if (request.attempts > 0) for (const batch of request.batches) batch.triedBy = producer;
    return true;
  }

  /** A batch that another producer may have written cannot be repeated: the broker would not know it again. */
  #doubtful(batches: readonly Batch[], producer: Producer): boolean {
    const doubtful = batches.filter(({ triedBy }) => triedBy !== undefined && triedBy !== producer);
    const reason = fault("queue.unavailable", "the producer was replaced while leaders changed");
    for (const batch of doubtful) this.#settle(batch, reason);
    return doubtful.length > 0;
  }

  #settle(batch: Batch, reason?: Fault): void {
    if (batch.line.batch !== batch) return;
    batch.line.batch = undefined;
    for (const entry of batch.entries) {
      if (reason !== undefined) this.#failed(entry, reason);
      else {
        this.#admission.give(entry.bytes);
        entry.sending.durable(entry.index);
      }
    }
  }

  #failed(entry: Entry, reason: Fault): void {
    this.#admission.give(entry.bytes);
    entry.sending.failed(reason);
  }

  /**
   * A producer numbers its batches, and takes a number back when it gives up. The broker may have the batch all the same,
   * and would then drop the next one as a repetition: after any failure only a new producer, with a new id, may write.
   */
  #replace(producer: Producer): void {
    const { producers, meter } = this.#options;
    if (!producers.isCurrent(producer)) return;
    meter.replaced();
    producers.drop(producer, Promise.allSettled(this.#uses.get(producer) ?? []));
  }

  /** Sending works again as soon as there is a producer, also when nobody sends. */
  #recover(): void {
    const { world, producers, trouble } = this.#options;
    this.#recovery ??= world.timer(recoverMs, () => {
      this.#recovery = undefined;
      if (this.#closed) return;
      producers.get().then(
        () => trouble.end("send"),
        () => this.#recover(),
      );
    });
  }
}

function closedFault(): Fault {
  return fault("queue.closed", "the queue is not started or has been stopped");
}
