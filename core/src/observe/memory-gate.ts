import { setMaxListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Log, MemoryGate, World } from "@heddle/plugin-sdk";

const sampleMs = 100;
/** The gate closes here: what is on its way, and what the heap holds free, still fit below the limit. */
const closeAt = 0.75;
const openAt = 0.7;
/** While closed, garbage is collected at most so often: it is what lies around that fills the memory first. */
const collectMs = 1_000;
/** Let through at each sample even when closed: a limit below what the node needs idle must not stop it for good. */
const trickle = 16;

export interface MemoryGateOptions {
  readonly world: World;
  readonly log: Log;
  readonly limitBytes: number;
  /** Bytes that this process uses, garbage included. */
  readonly used: () => number;
  /** Collects all garbage. */
  readonly collect: () => void;
}

/** Keeps the process below `node.memory` by making new work wait; disposing lets everybody through. */
export class ResidentMemoryGate implements MemoryGate, Disposable {
  readonly #options: MemoryGateOptions;
  readonly #waiting = new Set<() => void>();
  #timer: Disposable;
  #collectedAt = Number.NEGATIVE_INFINITY;
  #open = true;
  closings = 0;

  constructor(options: MemoryGateOptions) {
    this.#options = options;
    this.#timer = this.#sampleLater();
  }

  get open(): boolean {
    return this.#open;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  whenOpen(signal: AbortSignal): Promise<void> {
    if (this.#open) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.delete(enter);
        reject(signal.reason);
      };
      // One session may wait with many messages.
      setMaxListeners(0, signal);
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.add(enter);
    });
  }

  #sampleLater(): Disposable {
    return this.#options.world.timer(sampleMs, () => {
      this.#sample();
      this.#timer = this.#sampleLater();
    });
  }

  #sample(): void {
    const { world, log, limitBytes, used, collect } = this.#options;
    let bytes = used();
    if (bytes < limitBytes * (this.#open ? closeAt : openAt)) {
      if (!this.#open) log.info("memory is below its limit again", { usedBytes: bytes, limitBytes });
      this.#open = true;
      return this.#admit(this.#waiting.size);
    }
    if (world.elapsed() - this.#collectedAt >= collectMs) {
      this.#collectedAt = world.elapsed();
      collect();
      bytes = used();
      if (bytes < limitBytes * openAt) return this.#admit(this.#waiting.size);
    }
    if (this.#open) {
      this.#open = false;
      this.closings++;
      log.warn("memory is near its limit, new work waits", { usedBytes: bytes, limitBytes });
    }
    this.#admit(trickle);
  }

  #admit(count: number): void {
    let left = count;
    for (const enter of this.#waiting) {
      if (left-- <= 0) return;
      this.#waiting.delete(enter);
      enter();
    }
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#open = true;
    this.#admit(this.#waiting.size);
  }
}

/** V8's own collector, found without a flag on the command line. */
export function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
