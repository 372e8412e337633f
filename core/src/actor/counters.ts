import type { PassivateReason } from "@heddle/plugin-sdk";

export interface KindCounters extends Record<PassivateReason, number> {
  activations: number;
  failures: number;
}

/** Plain numbers, read by the metrics; counting must cost nothing. */
export class ActorCounters {
  turns = 0;
  deadLetters = 0;
  readonly #kinds = new Map<string, KindCounters>();

  of(kind: string): KindCounters {
    let counters = this.#kinds.get(kind);
    if (counters === undefined) {
      counters = { activations: 0, failures: 0, idle: 0, moved: 0, stopping: 0 };
      this.#kinds.set(kind, counters);
    }
    return counters;
  }

  kinds(): IterableIterator<[string, KindCounters]> {
    return this.#kinds.entries();
  }
}
