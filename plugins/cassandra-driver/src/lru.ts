/** Values by name; the least recently used go beyond a number of entries. */
export class Lru<V> {
  readonly #limit: number;
  readonly #entries = new Map<string, V>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(name: string): V | undefined {
    const found = this.#entries.get(name);
    if (found === undefined) return undefined;
    // Reordering at every read would cost more than the order is worth while nothing has to go.
    if (this.#entries.size * 2 > this.#limit) {
      this.#entries.delete(name);
      this.#entries.set(name, found);
    }
    return found;
  }

  set(name: string, value: V): void {
    this.#entries.delete(name);
    this.#entries.set(name, value);
    if (this.#entries.size <= this.#limit) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  drop(name: string): void {
    this.#entries.delete(name);
  }

  clear(): void {
    this.#entries.clear();
  }
}
