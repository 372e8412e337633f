import type { Origin, World } from "@heddle/plugin-sdk";

/** So often wrong costs nothing: somebody may have mistyped a token, or a device was deleted. */
const freeFailures = 5;
const firstDelayMs = 100;
const longestDelayMs = 3_000;
/** An address that was not wrong for so long starts anew. */
const forgetMs = 60_000;
/** Addresses remembered; the ones that were wrong longest ago go first. */
const mostAddresses = 10_000;

interface Stranger {
  failures: number;
  at: number;
}

export interface StrangersConfig {
  /** Wrong so often, an address is refused unheard; 0: never. */
  readonly blockAfter: number;
  /** For so long, ms. */
  readonly blockFor: number;
}

/** Addresses that have shown wrong credentials: each failure makes them wait longer, and nobody else. */
export class Strangers {
  readonly #world: World;
  readonly #config: StrangersConfig;
  readonly #counted: (transport: string) => void;
  readonly #strangers = new Map<string, Stranger>();

  constructor(world: World, config: StrangersConfig, counted: (transport: string) => void) {
    this.#world = world;
    this.#config = config;
    this.#counted = counted;
  }

  isBlocked(address: string): boolean {
    const { blockAfter, blockFor } = this.#config;
    if (blockAfter === 0) return false;
    const stranger = this.#strangers.get(address);
    if (stranger === undefined || stranger.failures < blockAfter) return false;
    if (this.#world.elapsed() - stranger.at < blockFor) return true;
    this.#strangers.delete(address);
    return false;
  }

  /** Resolves when the address may be told that it was wrong. */
  async wrong({ transport, address }: Origin, signal: AbortSignal): Promise<void> {
    this.#counted(transport);
    const now = this.#world.elapsed();
    const known = this.#strangers.get(address);
    const failures = known === undefined || now - known.at > this.#memoryMs ? 1 : known.failures + 1;
    // The newest is last: the first is the one to forget.
    this.#strangers.delete(address);
    this.#strangers.set(address, { failures, at: now });
    if (this.#strangers.size > mostAddresses) this.#strangers.delete(this.#strangers.keys().next().value as string);
    if (failures <= freeFailures) return;
    const delay = Math.min(longestDelayMs, firstDelayMs * 2 ** (failures - freeFailures - 1));
    await this.#world.sleep(delay, signal);
  }

  get #memoryMs(): number {
    return Math.max(forgetMs, this.#config.blockFor);
  }
}
