/** Writes one batch after the other: what is added while one is written makes the next. */
export class Gathered<T> {
  readonly #write: (items: readonly T[]) => Promise<unknown>;
  readonly #most: number;
  #next: T[] = [];
  #waiting: { resolve(): void; reject(error: unknown): void }[] = [];
  #writing = false;

  constructor(write: (items: readonly T[]) => Promise<unknown>, most = 500) {
    this.#write = write;
    this.#most = most;
  }

  /** Resolves when it is written; rejects with what its batch failed of. */
  add(item: T): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#next.push(item);
      this.#waiting.push({ resolve, reject });
      if (!this.#writing) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#writing = true;
    // Whatever else this turn of the loop adds is in the first batch.
    await undefined;
    while (this.#next.length > 0) {
      const items = this.#next.splice(0, this.#most);
      const waiting = this.#waiting.splice(0, this.#most);
      try {
        await this.#write(items);
        for (const { resolve } of waiting) resolve();
      } catch (error) {
        for (const { reject } of waiting) reject(error);
      }
    }
    this.#writing = false;
  }
}
