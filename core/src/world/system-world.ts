import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import type { World } from "@heddle/plugin-sdk";

/** The real clock and the real dice. A timer of 0 ms runs after the input that is already there. */
export class SystemWorld implements World {
  now(): number {
    return Date.now();
  }

  elapsed(): number {
    return performance.now();
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  timer(ms: number, run: () => void): Disposable {
    if (ms <= 0) {
      const handle = setImmediate(run);
      return { [Symbol.dispose]: () => clearImmediate(handle) };
    }
    const handle = setTimeout(run, Math.min(ms, longestTimerMs)).unref();
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  }

  random(): number {
    return Math.random();
  }

  uuid(): string {
    return randomUUID();
  }
}

/** Beyond it the platform's timers fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** `World.sleep` over `World.timer`. */
export function sleepOn(world: Pick<World, "timer">, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = world.timer(ms, () => {
      signal.removeEventListener("abort", cancel);
      resolve();
    });
    const cancel = () => {
      timer[Symbol.dispose]();
      reject(signal.reason);
    };
    signal.addEventListener("abort", cancel, { once: true });
  });
}

/**
 * A library that spins without ever waiting starves every timer of its thread, the deadline of the stop among them. Another
 * thread then ends the process: what was acknowledged is durable.
 */
export function endAfter(ms: number): void {
  const kill = `setTimeout(() => process.kill(process.pid, "SIGKILL"), ${ms})`;
  new Worker(kill, { eval: true }).unref();
}
