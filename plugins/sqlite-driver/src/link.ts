import { setMaxListeners } from "node:events";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { type TransferListItem, Worker } from "node:worker_threads";

export interface Call {
  readonly id: number;
  readonly op: string;
  readonly arg: unknown;
}

/** `locked`: another process owns the file. `disk`: no room or failing. `conflict`: `data` says which. */
export interface Trouble {
  readonly trouble: "locked" | "disk" | "defect" | "conflict" | "gone" | "full";
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: Trouble };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export interface LinkOptions {
  /** The worker's module; its `.ts` runs from source, its `.js` compiled. */
  readonly url: URL;
  /** Handed to the worker as `workerData`. */
  readonly data: unknown;
  /** Calls that may be unanswered at once; more are refused as `full`. */
  readonly maxCalls: number;
  /** Makes the caller's error. */
  fault(trouble: Trouble): Error;
}

/** The main thread's end of a store's worker: calls in order, one message for all calls of a turn of the loop. */
export class WorkerLink {
  readonly #options: LinkOptions;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #outbox: Call[] = [];
  #nextId = 1;
  #lost: Trouble | undefined;
  readonly #closed: Promise<void>;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#worker = startWorker(options.url, options.data);
    this.#worker.on("message", (answer: Answer) => this.#settle(answer));
    this.#worker.on("error", (error) => this.#fail(`worker failed: ${error.message}`));
    this.#closed = new Promise((resolve) => {
      this.#worker.on("exit", (code) => {
        this.#fail(`worker ended with code ${code}`);
        resolve();
      });
    });
  }

  /** Calls without an answer. */
  get depth(): number {
    return this.#waiting.size;
  }

  /** Why the worker is gone, if it is. */
  get lost(): string | undefined {
    return this.#lost?.message;
  }

  /** Settles with the worker's answer; rejects soon after `signal` aborts, which does not undo a write. */
  call(op: string, arg: unknown, signal?: AbortSignal): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const refused = this.#refusal();
    if (refused !== undefined) return Promise.reject(this.#options.fault(refused));
    const id = this.#nextId++;
    if (this.#outbox.push({ id, op, arg }) === 1) queueMicrotask(() => this.#flush());
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    return signal === undefined ? answer : untilAborted(answer, signal);
  }

  /** A call that goes at once and gives `transfer` away; whoever uses it bounds how many there are. */
  send(op: string, arg: unknown, transfer: readonly TransferListItem[]): Promise<unknown> {
    if (this.#lost !== undefined) return Promise.reject(this.#options.fault(this.#lost));
    this.#flush();
    const id = this.#nextId++;
    this.#worker.postMessage([{ id, op, arg }], transfer);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** Ends the worker after the calls before it; safe twice. */
  async close(): Promise<void> {
    if (this.#lost === undefined) {
      await this.call("close", undefined).catch(() => undefined);
      await this.#worker.terminate();
    }
    await this.#closed;
  }

  #refusal(): Trouble | undefined {
    if (this.#lost !== undefined) return this.#lost;
    if (this.#waiting.size < this.#options.maxCalls) return undefined;
    const message = `${this.#waiting.size} calls wait for the disk, the limit is ${this.#options.maxCalls}`;
    return { trouble: "full", message, data: undefined };
  }

  #flush(): void {
    if (this.#outbox.length === 0) return;
    const calls = this.#outbox;
    this.#outbox = [];
    this.#worker.postMessage(calls);
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("error" in answer) waiting?.reject(this.#options.fault(answer.error));
    else waiting?.resolve(answer.value);
  }

  #fail(message: string): void {
    this.#lost ??= { trouble: "gone", message, data: undefined };
    const fault = this.#options.fault(this.#lost);
    for (const { reject } of this.#waiting.values()) reject(fault);
    this.#waiting.clear();
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

/** A worker does not inherit tsx, whose loader registers itself on main threads only: from source, a first line does. */
function startWorker(url: URL, workerData: unknown): Worker {
  if (!url.pathname.endsWith(".ts")) return new Worker(url, { workerData });
  const execArgv = ["--conditions=source"];
  const resolved = createRequire(import.meta.url)
    .resolve("tsx/esm/api")
    .replace(/\.cjs$/, ".mjs");
  const loader = JSON.stringify(pathToFileURL(resolved).href);
  const start = `import(${loader}).then((tsx) => { tsx.register(); return import(${JSON.stringify(url.href)}); })`;
  return new Worker(start, { eval: true, execArgv, workerData });
}
