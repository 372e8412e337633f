import type { Cache, CallOptions, Plain, World } from "../../src/index.ts";

/** The reference: bounded by entries, the oldest go first. */
export class MemoryCache implements Cache {
  readonly #world: Pick<World, "elapsed">;
  readonly #maxEntries: number;
  protected readonly entries = new Map<string, { readonly value: Plain; readonly expires: number }>();

  constructor(world: Pick<World, "elapsed">, maxEntries = 10_000) {
    this.#world = world;
    this.#maxEntries = maxEntries;
  }

  async get(keys: readonly string[], call: CallOptions): Promise<Plain[]> {
    call.signal.throwIfAborted();
    const now = this.#world.elapsed();
    return keys.map((key) => {
      const found = this.entries.get(key);
      return found !== undefined && found.expires > now ? found.value : undefined;
    });
  }

  async set(
    entries: readonly { readonly key: string; readonly value: Plain; readonly ttlMs: number }[],
    call: CallOptions,
  ): Promise<void> {
    call.signal.throwIfAborted();
    for (const { key, value, ttlMs } of entries) {
      this.entries.delete(key);
      this.entries.set(key, { value, expires: this.#world.elapsed() + ttlMs });
      const oldest = this.entries.keys().next();
      if (this.entries.size > this.#maxEntries && !oldest.done) this.entries.delete(oldest.value);
    }
  }

  async drop(keys: readonly string[], call: CallOptions): Promise<void> {
    call.signal.throwIfAborted();
    for (const key of keys) this.entries.delete(key);
  }
}
