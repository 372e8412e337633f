import type { World } from "@heddle/plugin-sdk";

/**
 * Write timestamps in microseconds, each greater than the one before: Cassandra keeps the cell with the greatest, so a
 * retried write cannot beat a later one. Between nodes the order is that of their clocks.
 */
export class WriteClock {
  readonly #world: Pick<World, "now">;
  #last = 0;

  constructor(world: Pick<World, "now">) {
    this.#world = world;
  }

  next(): number {
    this.#last = Math.max(this.#last + 1, this.#world.now() * 1_000);
    return this.#last;
  }
}
