import type { Cache, CallOptions, Plain, World } from "@heddle/plugin-sdk";
import { LRUCache } from "lru-cache";

interface Entry {
  readonly value: Plain;
  /** By the world's monotonic clock, ms. */
  readonly expires: number;
}

/** The least recently used entries go when there are too many; expired ones are not seen. */
export class MemoryCache implements Cache {
  readonly #world: World;
  readonly #entries: LRUCache<string, Entry>;

  constructor(config: { readonly maxEntries: number }, world: World) {
    this.#world = world;
    this.#entries = new LRUCache({ max: config.maxEntries });
  }

  async get(keys: readonly string[], call: CallOptions): Promise<Plain[]> {
    call.signal.throwIfAborted();
    const now = this.#world.elapsed();
    return keys.map((key) => {
      const entry = this.#entries.get(key);
      if (entry === undefined || entry.expires > now) return entry?.value;
      this.#entries.delete(key);
      return undefined;
    });
  }

  async set(
    entries: readonly { readonly key: string; readonly value: Plain; readonly ttlMs: number }[],
    call: CallOptions,
  ): Promise<void> {
    call.signal.throwIfAborted();
    const now = this.#world.elapsed();
    for (const { key, value, ttlMs } of entries) this.#entries.set(key, { value, expires: now + ttlMs });
  }

  async drop(keys: readonly string[], call: CallOptions): Promise<void> {
    call.signal.throwIfAborted();
    for (const key of keys) this.#entries.delete(key);
  }
}
