import type { Fault } from "@heddle/plugin-sdk";
import { asFault } from "@heddle/plugin-sdk";
import { type Budget, messageCost } from "./budget.ts";

/**
 * What acknowledges one message: packet id (16 bits), whether it was sent with QoS 2, reason code. An id of 0 is a
 * QoS 0 message, which only takes its place in the line.
 */
export type Entry = number;
const qos2 = 0x1_0000;
export const entryOf = (packetId: number, qos: number, reasonCode = 0): Entry =>
  packetId | (qos === 2 ? qos2 : 0) | (reasonCode << 17);
export const withReason = (entry: Entry, reasonCode: number): Entry => (entry & 0x1_ffff) | (reasonCode << 17);
export const packetIdOf = (entry: Entry): number => entry & 0xffff;
export const isQos2 = (entry: Entry): boolean => (entry & qos2) !== 0;
export const reasonOf = (entry: Entry): number => entry >> 17;

export const needingAnswer = (entries: readonly Entry[]): number => {
  let count = 0;
  for (const entry of entries) if (packetIdOf(entry) !== 0) count++;
  return count;
};

/** PUBACKs and PUBRECs of the entries, in order, as one buffer; undefined when none needs any. */
export function acknowledgements(entries: readonly Entry[], v5: boolean): Buffer | undefined {
  let size = 0;
  for (const entry of entries) if (packetIdOf(entry) !== 0) size += v5 && reasonOf(entry) !== 0 ? 6 : 4;
  if (size === 0) return undefined;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const entry of entries) {
    const id = packetIdOf(entry);
    if (id === 0) continue;
    const coded = v5 && reasonOf(entry) !== 0;
    bytes[at++] = isQos2(entry) ? 0x50 : 0x40;
    bytes[at++] = coded ? 4 : 2;
    bytes[at++] = id >> 8;
    bytes[at++] = id & 0xff;
    if (coded) {
      bytes[at++] = reasonOf(entry);
      bytes[at++] = 0;
    }
  }
  return bytes;
}

/** Messages in a row that share one promise: they become durable together. */
export interface Run {
  readonly entries: Entry[];
  readonly promise: Promise<void> | undefined;
  messages: number;
  cost: number;
  settled: boolean;
  fault: Fault | undefined;
  /** Ends the connection when the run's turn comes. */
  readonly ends: (() => void) | undefined;
  /** Writes what must not overtake the acknowledgement. */
  after: (() => void)[] | undefined;
  /** Acknowledged. */
  through: boolean;
  next: Run | undefined;
}

export interface AckLineOwner {
  acknowledge(entries: readonly Entry[]): void;
  /** The messages were not taken. */
  refused(entries: readonly Entry[], fault: Fault): void;
  /** Closes the connection, with a DISCONNECT if there is a reason to tell. */
  end(reasonCode: number | undefined): void;
  /** There may be room for more messages. */
  eased(): void;
}

/**
 * Acknowledgements of one connection, strictly in the order of its messages, however their commits finish. One callback
 * per shared promise, not per message.
 */
export class AckLine {
  readonly #owner: AckLineOwner;
  readonly #budget: Budget;
  #head: Run | undefined;
  #tail: Run | undefined;
  #inFlight = 0;
  #closed = false;

  constructor(owner: AckLineOwner, budget: Budget) {
    this.#owner = owner;
    this.#budget = budget;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** The message is acknowledged when the promise resolves and everything before it is acknowledged. */
  wait(entry: Entry, promise: Promise<void>, bytes: number): Run {
    const cost = bytes + messageCost;
    // The call that gave the promise may have ended the session: then nobody is left to be acknowledged.
    if (!this.#closed) this.#budget.take(cost);
    this.#inFlight++;
    const tail = this.#tail;
    if (tail !== undefined && tail.promise === promise) {
      tail.entries.push(entry);
      tail.messages++;
      tail.cost += cost;
      return tail;
    }
    const run = this.#append(entry, promise, undefined);
    run.messages = 1;
    run.cost = cost;
    promise.then(
      () => this.#settle(run, undefined),
      (error: unknown) => this.#settle(run, asFault(error)),
    );
    return run;
  }

  /** Acknowledged as soon as everything before it is; undefined when that is already so. */
  pass(entry: Entry): Run | undefined {
    const tail = this.#tail;
    if (tail === undefined) {
      this.#owner.acknowledge([entry]);
      return undefined;
    }
    // It waits for others, so it counts with them.
    this.#inFlight++;
    this.#budget.take(0);
    if (tail.promise === undefined && tail.ends === undefined) {
      tail.entries.push(entry);
      tail.messages++;
      return tail;
    }
    const run = this.#append(entry, undefined, undefined);
    run.messages = 1;
    return run;
  }

  /** Closes the connection once everything before is acknowledged. */
  end(reasonCode: number | undefined): void {
    this.finally(() => this.#owner.end(reasonCode));
  }

  /** Does what ends the connection once everything before is acknowledged. */
  finally(end: () => void): void {
    if (this.#tail === undefined) end();
    else this.#append(undefined, undefined, end);
  }

  /** Runs `write` now, or when the run has been acknowledged. */
  after(run: Run | undefined, write: () => void): void {
    if (this.#closed) return;
    if (run === undefined || run.through) return write();
    run.after ??= [];
    run.after.push(write);
  }

  /** The connection is gone: nothing is acknowledged any more, what was taken of the budget is given back. */
  close(): void {
    this.#closed = true;
    for (let run = this.#head; run !== undefined; run = run.next) this.#budget.give(run.messages, run.cost);
    this.#head = undefined;
    this.#tail = undefined;
  }

  #append(entry: Entry | undefined, promise: Promise<void> | undefined, ends: (() => void) | undefined): Run {
    const run: Run = {
      entries: entry === undefined ? [] : [entry],
      promise,
      messages: 0,
      cost: 0,
      settled: promise === undefined,
      fault: undefined,
      ends,
      after: undefined,
      through: false,
      next: undefined,
    };
    if (this.#tail === undefined) this.#head = run;
    else this.#tail.next = run;
    this.#tail = run;
    return run;
  }

  #settle(settled: Run, fault: Fault | undefined): void {
    settled.settled = true;
    settled.fault = fault;
    if (this.#closed || settled !== this.#head) return;
    for (let run: Run | undefined = settled; run?.settled; run = this.#head) {
      this.#head = run.next;
      if (this.#head === undefined) this.#tail = undefined;
      this.#inFlight -= run.messages;
      this.#budget.give(run.messages, run.cost);
      this.#pass(run);
      if (this.#closed) return;
    }
    this.#owner.eased();
  }

  #pass(run: Run): void {
    if (run.ends !== undefined) return run.ends();
    if (run.fault === undefined) this.#owner.acknowledge(run.entries);
    else this.#owner.refused(run.entries, run.fault);
    if (this.#closed) return;
    run.through = true;
    for (const write of run.after ?? []) write();
  }
}
