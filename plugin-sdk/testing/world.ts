import type { Log, World } from "../src/index.ts";

/** A generator of numbers in [0, 1) that a seed decides. */
export function seededRandom(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function sleepOn(world: Pick<World, "timer">, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      timer[Symbol.dispose]();
      reject(signal.reason);
    };
    const timer = world.timer(ms, () => {
      signal.removeEventListener("abort", stop);
      resolve();
    });
    signal.addEventListener("abort", stop, { once: true });
  });
}

function uuidFrom(random: () => number): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16));
  digits[12] = "4";
  digits[16] = "89ab"[Math.floor(random() * 4)] ?? "8";
  return digits.join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Real time and timers for tests of drivers; randomness comes from the seed. */
export function realWorld(seed = 1): World {
  const random = seededRandom(seed);
  const world: World = {
    now: () => Date.now(),
    elapsed: () => performance.now(),
    sleep: (ms, signal) => sleepOn(world, ms, signal),
    timer: (ms, run) => {
      const handle = setTimeout(run, ms);
      handle.unref();
      return { [Symbol.dispose]: () => clearTimeout(handle) };
    },
    random,
    uuid: () => uuidFrom(random),
  };
  return world;
}

export interface SteppedWorld extends World {
  /** Runs the timers that are due within `ms`, in order, letting promises settle before each and after the last. */
  pass(ms: number): Promise<void>;
  /** Lets everything settle that needs no timer. */
  settle(): Promise<void>;
}

/** Time that stands still until it is told to pass: tests need no waiting and repeat bit for bit. */
export function steppedWorld(seed = 1): SteppedWorld {
  const random = seededRandom(seed);
  let elapsed = 0;
  let order = 0;
  const timers = new Set<{ readonly at: number; readonly order: number; readonly run: () => void }>();
  // Promise jobs run to the end between two turns of the loop; a few turns cover code that awaits `setImmediate` itself.
  const settle = async () => {
    for (let i = 0; i < 3; i += 1) await new Promise<void>((done) => setImmediate(done));
  };
  const world: SteppedWorld = {
    now: () => 1_700_000_000_000 + elapsed,
    elapsed: () => elapsed,
    sleep: (ms, signal) => sleepOn(world, ms, signal),
    timer: (ms, run) => {
      const timer = { at: elapsed + Math.max(0, ms), order: order++, run };
      timers.add(timer);
      return { [Symbol.dispose]: () => void timers.delete(timer) };
    },
    random,
    uuid: () => uuidFrom(random),
    settle,
    pass: async (ms) => {
      const until = elapsed + ms;
      for (;;) {
        await settle();
        const due = [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at || a.order - b.order)[0];
        if (due === undefined) break;
        timers.delete(due);
        elapsed = Math.max(elapsed, due.at);
        due.run();
      }
      elapsed = until;
      await settle();
    },
  };
  return world;
}

/** A log that says nothing. */
export const silentLog: Log = { child: () => silentLog, debug() {}, info() {}, warn() {}, error() {} };
