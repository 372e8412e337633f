import { onAbort } from "@heddle/plugin-sdk";

/** Lets a number of holders in; the others wait in order, each until its signal aborts. */
export class Gate {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** True: entered at once. Otherwise the caller has to `wait`. */
  tryEnter(): boolean {
    if (this.#held >= this.#limit) return false;
    this.#held++;
    return true;
  }

  /** Rejects when one of the signals aborts first. */
  wait(...signals: readonly AbortSignal[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = signals.find((signal) => signal.aborted);
      if (aborted !== undefined) return reject(aborted.reason);
      const done = () => {
        this.#waiting.delete(enter);
        for (const off of offs) off();
      };
      const enter = () => {
        done();
        resolve();
      };
      const offs = signals.map((signal) =>
        onAbort(signal, () => {
          done();
          reject(signal.reason);
        }),
      );
      this.#waiting.add(enter);
    });
  }

  leave(): void {
    for (const enter of this.#waiting) {
      // The place goes from hand to hand, so that nobody can overtake.
      enter();
      return;
    }
    this.#held--;
  }
}

/** Runs the work of each item, so many at a time; after a failure no more begin, and it is thrown when all have ended. */
export async function each<T>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T, index: number) => Promise<unknown>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const failures: unknown[] = [];
  let index = 0;
  const run = async () => {
    while (failures.length === 0) {
      const next = rest.next();
      if (next.done === true) return;
      await work(next.value, index++).catch((error: unknown) => failures.push(error));
    }
  };
  const runners: Promise<void>[] = [];
  for (let at = 0; at < atOnce; at++) runners.push(run());
  await Promise.all(runners);
  if (failures.length > 0) throw failures[0];
}
