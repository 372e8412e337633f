import type { World } from "@heddle/plugin-sdk";
import { sleepOn } from "../src/world/system-world.ts";

interface Event {
  readonly at: number;
  /** Drawn from the seed: events of the same moment come in any order. */
  readonly tie: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** Virtual time, timers with seeded tie-breaks and one source of chance: the same seed gives the same run. */
export class Simulation {
  #now = 1_700_000_000_000;
  #order = 0;
  #state: number;
  readonly #heap: Event[] = [];
  /** Called after every event; throws when an invariant is broken. */
  check: () => void = () => {};
  events = 0;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0;
  }

  get now(): number {
    return this.#now;
  }

  /** Uniform in [0, 1) (mulberry32). */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  between(low: number, high: number): number {
    return low + this.random() * (high - low);
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)] as T;
  }

  at(delayMs: number, run: () => void): Disposable {
    const event: Event = {
      at: this.#now + Math.max(0, delayMs),
      tie: this.random(),
      order: this.#order++,
      run,
      cancelled: false,
    };
    this.#push(event);
    return {
      [Symbol.dispose]: () => {
        event.cancelled = true;
      },
    };
  }

  /** Runs events until virtual `ms` have passed or `until` holds. Returns whether `until` held. */
  async advance(ms: number, until: () => boolean = () => false): Promise<boolean> {
    const end = this.#now + ms;
    await microtasks();
    while (!until()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end) {
        this.#now = end;
        return until();
      }
      this.#pop();
      if (next.cancelled) continue;
      this.#now = next.at;
      this.events++;
      next.run();
      await microtasks();
      this.check();
    }
    return true;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    heap.push(event);
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >>> 1;
      if (!before(event, heap[parent] as Event)) break;
      heap[i] = heap[parent] as Event;
      heap[parent] = event;
      i = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      const right = left + 1;
      let least = i;
      if (left < heap.length && before(heap[left] as Event, heap[least] as Event)) least = left;
      if (right < heap.length && before(heap[right] as Event, heap[least] as Event)) least = right;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least] as Event, heap[i] as Event];
      i = least;
    }
  }
}

const before = (a: Event, b: Event) => (a.at - b.at || a.tie - b.tie || a.order - b.order) < 0;

/** Lets everything that was resolved run, however long its chain of promises. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The world of one simulated node: it can stand still, and it can die. */
export class SimWorld implements World {
  readonly #sim: Simulation;
  #stalled = false;
  #dead = false;
  #held: (() => void)[] = [];

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  get dead(): boolean {
    return this.#dead;
  }

  now(): number {
    return this.#sim.now;
  }

  elapsed(): number {
    return this.#sim.now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  timer(ms: number, run: () => void): Disposable {
    let cancelled = false;
    const event = this.#sim.at(ms, () => {
      if (!cancelled) this.run(() => (cancelled ? undefined : run()));
    });
    return {
      [Symbol.dispose]: () => {
        cancelled = true;
        event[Symbol.dispose]();
      },
    };
  }

  /** Runs something that happens to this node: now, when it wakes, or never. */
  run(what: () => void): void {
    if (this.#dead) return;
    if (this.#stalled) this.#held.push(what);
    else what();
  }

  stall(ms: number): void {
    if (this.#stalled || this.#dead) return;
    this.#stalled = true;
    this.#sim.at(ms, () => {
      this.#stalled = false;
      for (const what of this.#held.splice(0)) this.#sim.at(0, () => this.run(what));
    });
  }

  kill(): void {
    this.#dead = true;
    this.#held = [];
  }

  random(): number {
    return this.#sim.random();
  }

  uuid(): string {
    const hex = () =>
      Math.floor(this.#sim.random() * 0x1_0000_0000)
        .toString(16)
        .padStart(8, "0");
    const [a, b, c, d] = [hex(), hex(), hex(), hex()];
    return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-8${c.slice(1, 4)}-${c.slice(4)}${d}`;
  }
}
