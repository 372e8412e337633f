import { BatchFault, type Fault, type OutRecord } from "@heddle/plugin-sdk";

/** One call of `send` and what became of its records. */
export class Sending {
  readonly promise: Promise<void>;
  readonly deadline: number;
  readonly #done: Uint8Array;
  #open: number;
  #fault: Fault | undefined;
  #resolve!: () => void;
  #reject!: (reason: unknown) => void;
  #ended = false;
  /** Called once, when the caller has its answer. */
  onEnd: () => void = () => {};

  constructor(count: number, deadline: number) {
    this.deadline = deadline;
    this.#done = new Uint8Array(count);
    this.#open = count;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The caller has its answer; records that have not been handed over need not be. */
  get ended(): boolean {
    return this.#ended;
  }

  durable(index: number): void {
    this.#done[index] = 1;
    this.#count();
  }

  /** The record is not known to be durable. */
  failed(fault: Fault): void {
    this.#fault ??= fault;
    this.#count();
  }

  /** Ends the call now: every record without an outcome is unsure. */
  expire(fault: Fault): void {
    if (this.#ended) return;
    this.#fault ??= fault;
    this.#finish();
  }

  abort(reason: unknown): void {
    if (this.#ended) return;
    this.#end();
    this.#reject(reason);
  }

  #count(): void {
    this.#open -= 1;
    if (this.#open === 0 && !this.#ended) this.#finish();
  }

  #finish(): void {
    this.#end();
    const fault = this.#fault;
    if (fault === undefined) return this.#resolve();
    const failures = [...this.#done].flatMap((done, index) => (done === 1 ? [] : [{ index, fault }]));
    const text = `${failures.length} of ${this.#done.length} records are not known to be durable: ${fault.message}`;
    this.#reject(new BatchFault(fault.code, text, failures));
  }

  #end(): void {
    this.#ended = true;
    this.onEnd();
  }
}

/** A record on its way: the form that the driver takes, and whose it is. */
export interface Entry {
  readonly partition: number;
  readonly key: string;
  readonly value: Buffer;
  readonly headers?: Record<string, string>;
  readonly sending: Sending;
  readonly index: number;
  readonly bytes: number;
}

/** Bytes that a record adds to a batch at most: the lengths of its parts are numbers of up to five bytes. */
export function recordSize({ key, body, headers }: OutRecord): number {
  let bytes = 40 + Buffer.byteLength(key) + body.byteLength;
  if (headers !== undefined) {
    for (const name in headers) bytes += 10 + Buffer.byteLength(name) + Buffer.byteLength(headers[name] as string);
  }
  return bytes;
}

export function entryOf(record: OutRecord, at: { sending: Sending; index: number; bytes: number }): Entry {
  const { partition, key, body, headers } = record;
  const value = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const entry = { partition, key, value, ...at };
  return headers === undefined ? entry : { ...entry, headers };
}
