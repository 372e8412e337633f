import type { TailRun } from "./catalog.ts";
import { Deque } from "./deque.ts";

interface Written {
  readonly runs: readonly TailRun[];
  readonly bytes: number;
}

/**
 * The newest writes in memory, up to `limitBytes`, so that a reader that keeps up never waits for the disk. Counts what
 * the writes' buffers hold until they leave, settled or not: an upper bound that needs no bookkeeping per record.
 */
export class Tail {
  readonly #limitBytes: number;
  readonly #written = new Deque<Written>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  add(runs: readonly TailRun[], bytes: number): void {
    for (const run of runs) run.partition.tail.push(run);
    this.#written.push({ runs, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#limitBytes) this.#evict();
  }

  #evict(): void {
    const oldest = this.#written.shift();
    if (oldest === undefined) return;
    this.#bytes -= oldest.bytes;
    for (const run of oldest.runs) {
      if (run.partition.tail.at(0) === run) run.partition.tail.shift();
    }
  }
}
