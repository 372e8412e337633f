import { onAbort } from "@heddle/plugin-sdk";
import { fault } from "./faults.ts";

interface Waiting {
  readonly bytes: number;
  enter(): void;
  refuse(reason: unknown): void;
}

/**
 * Bounds the bytes that are on their way to the brokers. Beyond `pendingBytes` callers wait in order; when as much again
 * waits, they are refused. One call that is larger than the bound passes when it is alone.
 */
export class Admission {
  readonly #bound: number;
  readonly #changed: (pending: number) => void;
  readonly #waiting = new Set<Waiting>();
  #pending = 0;
  #queued = 0;

  constructor(pendingBytes: number, changed: (pending: number) => void) {
    this.#bound = pendingBytes;
    this.#changed = changed;
  }

  get pending(): number {
    return this.#pending;
  }

  /** Takes room at once; false when the caller has to `wait`. */
  take(bytes: number): boolean {
    if (this.#waiting.size > 0 || !this.#fits(bytes)) return false;
    this.#pending += bytes;
    this.#changed(this.#pending);
    return true;
  }

  /** Resolves when room has been taken. */
  wait(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#queued > 0 && this.#queued + bytes > this.#bound) {
      const text = `${this.#pending} bytes are being sent and ${this.#queued} wait, the limit is ${this.#bound} each`;
      return Promise.reject(fault("queue.full", text));
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#queued -= bytes;
        this.#waiting.delete(waiting);
        forget();
      };
      const waiting: Waiting = {
        bytes,
        enter: () => {
          leave();
          resolve();
        },
        refuse: (reason) => {
          leave();
          reject(reason);
        },
      };
      let forget = () => {};
      this.#queued += bytes;
      this.#waiting.add(waiting);
      forget = onAbort(signal, () => waiting.refuse(signal.reason));
    });
  }

  give(bytes: number): void {
    this.#pending -= bytes;
    for (const next of this.#waiting) {
      if (!this.#fits(next.bytes)) break;
      this.#pending += next.bytes;
      next.enter();
    }
    this.#changed(this.#pending);
  }

  refuseAll(reason: unknown): void {
    for (const waiting of [...this.#waiting]) waiting.refuse(reason);
  }

  #fits(bytes: number): boolean {
    return this.#pending === 0 || this.#pending + bytes <= this.#bound;
  }
}
