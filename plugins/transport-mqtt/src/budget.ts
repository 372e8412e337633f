/** A connection that waits for room and is woken by `wake`. */
export interface Waiter {
  wake(): void;
}

/** A pending message costs its bytes and about this much around it. */
export const messageCost = 1024;

/** What all connections together may have pending. Those that find it full wait in line and are woken in order. */
export class Budget {
  readonly #messages: number;
  readonly #bytes: number;
  readonly #waiters = new Set<Waiter>();
  #pending = 0;
  #cost = 0;
  #waking = false;

  constructor(limits: { readonly messages: number; readonly bytes: number }) {
    this.#messages = limits.messages;
    this.#bytes = limits.bytes;
  }

  get full(): boolean {
    return this.#pending >= this.#messages || this.#cost >= this.#bytes;
  }

  get pending(): number {
    return this.#pending;
  }

  take(cost: number): void {
    this.#pending++;
    this.#cost += cost;
  }

  give(messages: number, cost: number): void {
    this.#pending -= messages;
    this.#cost -= cost;
    if (this.#waiters.size === 0 || this.#waking || this.full) return;
    this.#waking = true;
    // A woken connection reads on at once: not in the middle of another one's acknowledgements.
    process.nextTick(() => {
      this.#waking = false;
      for (const waiter of this.#waiters) {
        if (this.full) return;
        this.#waiters.delete(waiter);
        waiter.wake();
      }
    });
  }

  wait(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  leave(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }
}
