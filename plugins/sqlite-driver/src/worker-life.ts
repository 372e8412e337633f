import { setMaxListeners } from "node:events";
import type { TransferListItem, Worker } from "node:worker_threads";
import type { Answer, Call, Trouble } from "./trouble.ts";

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** One worker from its start to its end: calls in order, one message for all calls of a turn of the loop. */
export class WorkerLife {
  readonly #worker: Worker;
  readonly #fault: (trouble: Trouble) => Error;
  readonly #waiting = new Map<number, Waiting>();
  #outbox: Call[] = [];
  #nextId = 1;
  #lost: Trouble | undefined;
  /** Resolves when the worker is gone, with why. */
  readonly ended: Promise<Trouble>;

  constructor(worker: Worker, fault: (trouble: Trouble) => Error) {
    this.#worker = worker;
    this.#fault = fault;
    worker.on("message", (answer: Answer) => this.#settle(answer));
    worker.on("error", (error) => this.#fail(`the worker failed: ${error.message}`));
    this.ended = new Promise((resolve) => {
      worker.on("exit", (code) => resolve(this.#fail(`the worker ended with code ${code}`)));
    });
  }

  /** Calls without an answer. */
  get depth(): number {
    return this.#waiting.size;
  }

  /** Settles with the worker's answer; rejects soon after `signal` aborts, which does not undo a write. */
  call(op: string, arg: unknown, signal?: AbortSignal): Promise<unknown> {
    if (this.#lost !== undefined) return Promise.reject(this.#fault(this.#lost));
    const id = this.#nextId++;
    if (this.#outbox.push({ id, op, arg }) === 1) queueMicrotask(() => this.#flush());
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    return signal === undefined ? answer : untilAborted(answer, signal);
  }

  /** A call that goes at once and gives `transfer` away; whoever uses it bounds how many there are. */
  send(op: string, arg: unknown, transfer: readonly TransferListItem[]): Promise<unknown> {
    if (this.#lost !== undefined) return Promise.reject(this.#fault(this.#lost));
    this.#flush();
    const id = this.#nextId++;
    this.#worker.postMessage([{ id, op, arg }], transfer);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** Ends the worker at once. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
    await this.ended;
  }

  #flush(): void {
    if (this.#outbox.length === 0 || this.#lost !== undefined) return;
    const calls = this.#outbox;
    this.#outbox = [];
    this.#worker.postMessage(calls);
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("error" in answer) waiting?.reject(this.#fault(answer.error));
    else waiting?.resolve(answer.value);
  }

  #fail(message: string): Trouble {
    this.#lost ??= { trouble: "gone", message, data: undefined };
    const fault = this.#fault(this.#lost);
    for (const { reject } of this.#waiting.values()) reject(fault);
    this.#waiting.clear();
    return this.#lost;
  }
}

function untilAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  // A component's one signal serves all its calls: many listeners are no leak.
  setMaxListeners(0, signal);
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const settled = () => signal.removeEventListener("abort", abort);
    answer.then(
      (value) => {
        settled();
        resolve(value);
      },
      (error) => {
        settled();
        reject(error);
      },
    );
  });
}
