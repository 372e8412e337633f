import type { World } from "@heddle/plugin-sdk";

/** Something that a wheel wakes. It holds its own place, so that it can be taken out again at no cost. */
export interface Timed {
  slot: Set<Timed> | undefined;
  expire(): void;
}

const tickMs = 50;
const slots = 1_024;
/** The longest wait a wheel can hold. */
const longestMs = tickMs * (slots - 2);

/** One timer for everything that waits: exchanges, retransmissions, housekeeping. Late by at most one tick. */
export class TimerWheel implements Disposable {
  readonly #world: World;
  readonly #slots: readonly Set<Timed>[] = Array.from({ length: slots }, () => new Set<Timed>());
  #turned = 0;
  #origin = 0;
  #timer: Disposable | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    this.#origin = this.#world.elapsed();
    this.#turned = 0;
    this.#later();
  }

  /** Wakes `what` once; what waits already waits anew. */
  after(ms: number, what: Timed): void {
    this.cancel(what);
    const due = Math.ceil((this.#world.elapsed() - this.#origin + Math.min(ms, longestMs)) / tickMs);
    const slot = this.#slots[Math.max(due, this.#turned + 1) % slots] as Set<Timed>;
    slot.add(what);
    what.slot = slot;
  }

  cancel(what: Timed): void {
    what.slot?.delete(what);
    what.slot = undefined;
  }

  #later(): void {
    this.#timer = this.#world.timer(tickMs, () => {
      const until = Math.floor((this.#world.elapsed() - this.#origin) / tickMs);
      // After a pause longer than a round, one round has woken everything.
      this.#turned = Math.max(this.#turned, until - slots);
      while (this.#turned < until) this.#wake(this.#slots[++this.#turned % slots] as Set<Timed>);
      this.#later();
    });
  }

  #wake(slot: Set<Timed>): void {
    // A copy, since what wakes may wait again, in this very slot after a full round.
    for (const timed of [...slot]) {
      if (timed.slot !== slot) continue;
      this.cancel(timed);
      timed.expire();
    }
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    for (const slot of this.#slots) slot.clear();
  }
}
