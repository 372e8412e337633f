import { type CallOptions, Fault, type PeerLink } from "@heddle/plugin-sdk";
import type { Simulation, SimWorld } from "./sim-world.ts";

/** Frames between simulated nodes: ordered per pair, delayed, lost from a cut on. */
export class SimNetwork {
  readonly #sim: Simulation;
  readonly #links = new Map<string, { world: SimWorld; onFrame: (from: string, frame: Uint8Array) => unknown }>();
  readonly #lastArrival = new Map<string, number>();
  readonly #cuts = new Set<string>();

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  /** Both directions. */
  cut(a: string, b: string): void {
    this.#cuts.add(pair(a, b));
  }

  heal(): void {
    this.#cuts.clear();
  }

  link(name: string, world: SimWorld): PeerLink {
    return {
      listen: async (onFrame) => {
        this.#links.set(name, { world, onFrame });
        return name;
      },
      send: (address: string, frame: Uint8Array, call: CallOptions) => this.#send(name, address, frame, call),
      [Symbol.asyncDispose]: async () => {
        if (this.#links.get(name)?.world === world) this.#links.delete(name);
      },
    };
  }

  async #send(from: string, to: string, frame: Uint8Array, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    if (this.#cuts.has(pair(from, to)) || !this.#links.has(to)) {
      throw new Fault("unavailable", "peer.unreachable", `peer ${to} cannot be reached`);
    }
    const route = `${from}>${to}`;
    const arrival = Math.max(this.#sim.now + this.#sim.between(0.1, 8), (this.#lastArrival.get(route) ?? 0) + 0.001);
    this.#lastArrival.set(route, arrival);
    this.#sim.at(arrival - this.#sim.now, () => {
      // A cut loses what is on its way; both ends see a broken connection later, which asks see as no answer.
      const link = this.#links.get(to);
      if (link !== undefined && !this.#cuts.has(pair(from, to))) link.world.run(() => void link.onFrame(from, frame));
    });
  }
}

const pair = (a: string, b: string) => (a < b ? `${a}|${b}` : `${b}|${a}`);
