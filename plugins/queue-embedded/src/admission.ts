import { onAbort } from "@heddle/plugin-sdk";
import { Deque } from "./deque.ts";
import { fault } from "./faults.ts";

interface Waiting {
  readonly bytes: number;
  readonly enter: () => void;
  readonly refuse: (reason: unknown) => void;
}

/**
 * Bounds the bytes that are on their way to the disk. Beyond `pendingBytes` callers wait in order; when as much again
 * waits, they are refused.
 */
export class Admission {
  readonly #pendingBytes: number;
  readonly #waiting = new Deque<Waiting>();
  #pending = 0;
  #queued = 0;

  constructor(pendingBytes: number) {
    this.#pendingBytes = pendingBytes;
  }

  get pending(): number {
    return this.#pending + this.#queued;
  }

  /** Takes room at once; false when the caller has to `wait`. */
  take(bytes: number): boolean {
    if (this.#waiting.length > 0 || this.#pending + bytes > this.#pendingBytes) return false;
    this.#pending += bytes;
    return true;
  }

  /** Resolves when room has been taken. */
  wait(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#queued + bytes > this.#pendingBytes) {
      const text = `${this.#pending} bytes are being written and ${this.#queued} wait, the limit is ${this.#pendingBytes} each`;
      return Promise.reject(fault("queue.full", text));
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#queued -= bytes;
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
      this.#queued += bytes;
      this.#waiting.push(waiting);
      let forget = () => {};
      forget = onAbort(signal, () => {
        this.#waiting.remove(waiting);
        waiting.refuse(signal.reason);
      });
    });
  }

  give(bytes: number): void {
    this.#pending -= bytes;
    for (let next = this.#waiting.at(0); next !== undefined; next = this.#waiting.at(0)) {
      if (this.#pending > 0 && this.#pending + next.bytes > this.#pendingBytes) return;
      this.#pending += next.bytes;
      this.#waiting.shift();
      next.enter();
    }
  }

  refuseAll(reason: unknown): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next.refuse(reason);
  }
}
