import { capability } from "../define/capability.ts";

/** Time, timers, randomness and ids come from here and nowhere else, so that a cluster can run from a seed. */
export interface World {
  /** Wall clock, ms since the epoch. */
  now(): number;
  /** Monotonic ms. */
  elapsed(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Runs once after `ms`; disposing cancels. Does not keep the process alive. */
  timer(ms: number, run: () => void): Disposable;
  /** Uniform in [0, 1). Not for secrets. */
  random(): number;
  uuid(): string;
}
export const World = capability<World>("world@1");
