import type { TransferListItem } from "node:worker_threads";
import type { World } from "@heddle/plugin-sdk";
import { startWorker } from "./start-worker.ts";
import type { Trouble } from "./trouble.ts";
import { WorkerLife } from "./worker-life.ts";

export interface LinkOptions {
  /** The worker's module; its `.ts` runs from source, its `.js` compiled. */
  readonly url: URL;
  /** Handed to the worker as `workerData`. */
  readonly data: unknown;
  /** Calls that may be unanswered at once; more are refused as `full`. */
  readonly maxCalls: number;
  readonly world: Pick<World, "timer" | "elapsed">;
  /** Makes the caller's error. */
  fault(trouble: Trouble): Error;
  /** The first calls of every worker; the link is open, or open again, when they are answered. */
  greet(call: (op: string, arg: unknown) => Promise<unknown>): Promise<unknown>;
  /** A worker was lost, and the next one comes by itself; or it has come. */
  changed(lost: string | undefined): void;
}

const firstPauseMs = 50;
const longestPauseMs = 5_000;

/** The main thread's end of a store's worker. A worker that ends by itself is replaced, after pauses that grow. */
export class WorkerLink {
  readonly #options: LinkOptions;
  #life: WorkerLife;
  #lost: Trouble | undefined;
  #pauseMs = firstPauseMs;
  #again: Disposable | undefined;
  #closed = false;

  private constructor(options: LinkOptions) {
    this.#options = options;
    this.#life = this.#begin();
  }

  /** Rejects, and leaves nothing behind, when the first greeting fails or `signal` aborts. */
  static async open(options: LinkOptions, signal: AbortSignal): Promise<WorkerLink> {
    signal.throwIfAborted();
    const link = new WorkerLink(options);
    try {
      await options.greet((op, arg) => link.#life.call(op, arg, signal));
    } catch (error) {
      await link.close();
      throw error;
    }
    void link.#watch(link.#life);
    return link;
  }

  /** Calls without an answer. */
  get depth(): number {
    return this.#life.depth;
  }

  /** Why no worker is there, if none is. */
  get lost(): string | undefined {
    return this.#lost?.message;
  }

  /** Settles with the worker's answer; rejects soon after `signal` aborts, which does not undo a write. */
  call(op: string, arg: unknown, signal?: AbortSignal): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const refused = this.#refusal();
    return refused === undefined ? this.#life.call(op, arg, signal) : Promise.reject(this.#options.fault(refused));
  }

  /** A call that goes at once and gives `transfer` away; whoever uses it bounds how many there are. */
  send(op: string, arg: unknown, transfer: readonly TransferListItem[]): Promise<unknown> {
    if (this.#lost !== undefined) return Promise.reject(this.#options.fault(this.#lost));
    return this.#life.send(op, arg, transfer);
  }

  /** Ends the worker after the calls before it; safe twice. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#again?.[Symbol.dispose]();
      await this.#life.call("close", undefined).catch(() => undefined);
    }
    await this.#life.terminate();
    this.#lost ??= { trouble: "gone", message: "the store is closed", data: undefined };
  }

  #refusal(): Trouble | undefined {
    if (this.#lost !== undefined) return this.#lost;
    if (this.#life.depth < this.#options.maxCalls) return undefined;
    const message = `${this.#life.depth} calls wait for the disk, the limit is ${this.#options.maxCalls}`;
    return { trouble: "full", message, data: undefined };
  }

  #begin(): WorkerLife {
    const { url, data, fault } = this.#options;
    return new WorkerLife(startWorker(url, data), fault);
  }

  async #watch(life: WorkerLife): Promise<void> {
    const begun = this.#options.world.elapsed();
    const trouble = await life.ended;
    if (this.#closed) return;
    if (this.#options.world.elapsed() - begun > longestPauseMs) this.#pauseMs = firstPauseMs;
    this.#lost = trouble;
    this.#options.changed(trouble.message);
    this.#later();
  }

  #later(): void {
    this.#again = this.#options.world.timer(this.#pauseMs, () => void this.#replace());
    this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs);
  }

  async #replace(): Promise<void> {
    const life = this.#begin();
    this.#life = life;
    try {
      await this.#options.greet((op, arg) => life.call(op, arg));
    } catch (error) {
      await life.terminate();
      this.#lost = { trouble: "gone", message: (error as Error).message, data: undefined };
      if (!this.#closed) this.#later();
      return;
    }
    if (this.#closed) return;
    this.#lost = undefined;
    this.#options.changed(undefined);
    void this.#watch(life);
  }
}
