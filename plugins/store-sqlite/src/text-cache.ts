/** Texts by name, the least recently used dropped beyond a number of bytes. */
export class TextCache<V extends { readonly body: string }> {
  readonly #limit: number;
  readonly #entries = new Map<string, V>();
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(name: string): V | undefined {
    const found = this.#entries.get(name);
    if (found === undefined) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, found);
    return found;
  }

  set(name: string, value: V): void {
    this.drop(name);
    this.#entries.set(name, value);
    this.#bytes += size(name, value);
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#limit) return;
      this.drop(oldest);
    }
  }

  drop(name: string): void {
    const found = this.#entries.get(name);
    if (found === undefined) return;
    this.#entries.delete(name);
    this.#bytes -= size(name, found);
  }
}

/** Two bytes a character, and what an entry costs by itself. */
const size = (name: string, { body }: { readonly body: string }): number => 2 * (name.length + body.length) + 200;
