import { setMaxListeners } from "node:events";
import { Kernel, quietLog, SimCoordinator, SimNetwork, Simulation, SimWorld } from "@heddle/core/testing";
import type { ActorKind, LaneSpec, World } from "@heddle/plugin-sdk";
import { type MemoryQueueClient, memoryQueue } from "@heddle/plugin-sdk/testing";

export interface RunOptions {
  readonly seed: number;
  readonly nodes?: number;
  readonly partitions?: number;
  /** Virtual ms with faults; afterwards everything must heal. */
  readonly faultMs?: number;
  /** Planted bugs. */
  readonly withoutBarrier?: boolean;
  readonly withoutLease?: boolean;
}

export interface RunResult {
  readonly events: number;
  readonly published: number;
  readonly processed: number;
  readonly asks: number;
  readonly faults: number;
}

/** Time in which full ownership must be back after the last fault: sessions expire, nodes rejoin, barriers pass. */
const healMs = 30_000;
const askMs = 3_000;
const keys = Array.from({ length: 24 }, (_, i) => `tenant/device-${i}`);
const lane: LaneSpec = {
  name: "uplink",
  retainMs: 3_600_000,
  retry: { attempts: 3, backoffMs: 50 },
  exhausted: "skip",
};

interface Counter {
  add(n: number): Promise<number>;
}

interface Node {
  readonly name: string;
  readonly world: SimWorld;
  readonly kernel: Kernel;
  readonly queue: MemoryQueueClient;
}

/** A whole cluster in one process from one seed; throws with the broken invariant. */
export class ClusterRun {
  readonly sim: Simulation;
  readonly #options: Required<RunOptions>;
  readonly #coordinator: SimCoordinator;
  readonly #network: SimNetwork;
  readonly #broker: ReturnType<typeof memoryQueue>;
  readonly #nodes = new Map<string, Node>();
  /** Highest number of each key that was published and acknowledged; numbers are published one after the other. */
  readonly #acknowledged = new Map<string, Set<number>>();
  readonly #processed = new Map<string, number[]>();
  readonly #nextNumber = new Map<string, number>();
  readonly #settled = new Map<number, number>();
  /** Where each ask was made: nobody waits any more on a node that died. */
  readonly #askers: SimWorld[] = [];
  #asks = 0;
  #faults = 0;
  #quiet = false;

  constructor(options: RunOptions) {
    this.#options = {
      nodes: 4,
      partitions: 16,
      faultMs: 60_000,
      withoutBarrier: false,
      withoutLease: false,
      ...options,
    };
    this.sim = new Simulation(options.seed);
    this.#coordinator = new SimCoordinator(this.sim);
    this.#coordinator.leases = !this.#options.withoutLease;
    this.#network = new SimNetwork(this.sim);
    this.#broker = memoryQueue(new SimWorld(this.sim), { delayMs: 4 });
    this.sim.check = () => this.#checkOwners();
  }

  async run(): Promise<RunResult> {
    const { nodes, faultMs } = this.#options;
    for (let i = 0; i < nodes; i++) this.#boot(`node-${i}`);
    await this.#mustHold("full ownership after the start", () => this.#fullyOwned(), healMs);
    for (const key of keys) this.#publishLater(key);
    this.#askLater();
    this.#faultLater();
    await this.sim.advance(faultMs);
    this.#quiet = true;
    this.#network.heal();
    this.#coordinator.heal();
    for (let i = 0; i < nodes; i++) if (!this.#nodes.has(`node-${i}`)) this.#boot(`node-${i}`);
    await this.#mustHold("full ownership after the last fault", () => this.#fullyOwned(), healMs);
    await this.#mustHold("every acknowledged message processed", () => this.#allProcessed(), healMs);
    await this.sim.advance(askMs * 2);
    this.#checkAsks();
    this.#checkOrder();
    const published = [...this.#acknowledged.values()].reduce((sum, all) => sum + all.size, 0);
    const processed = [...this.#processed.values()].reduce((sum, all) => sum + all.length, 0);
    return { events: this.sim.events, published, processed, asks: this.#asks, faults: this.#faults };
  }

  #boot(name: string): void {
    const world = new SimWorld(this.sim);
    const queue = this.#broker.client(name);
    const kernel = new Kernel({
      world,
      log: quietLog(),
      id: name,
      roles: ["owner"],
      partitions: this.#options.partitions,
      coordinator: this.#coordinator.client(world),
      queue,
      peer: this.#network.link(name, world),
      barrier: !this.#options.withoutBarrier,
    });
    const node: Node = { name, world, kernel, queue };
    this.#nodes.set(name, node);
    kernel.lanes.consume(lane, "counting", async (key, body, turn) => {
      const { n } = body as { n: number };
      this.#note(key, n);
      await world.sleep(this.sim.between(0, 20), turn.signal);
    });
    this.#serve(node);
  }

  /** A name whose former life the coordinator still knows is refused until its session ends. */
  #serve({ name, world, kernel }: Node): void {
    kernel.serve([this.#kind(world)], never).catch(() => {
      if (world.dead) return;
      world.timer(500, () => {
        if (this.#nodes.get(name)?.world !== world) return;
        world.kill();
        this.#boot(name);
      });
    });
  }

  #kind(world: World): ActorKind<Counter> {
    const sim = this.sim;
    return {
      kind: "counter",
      placement: "partition",
      idleMs: 5_000,
      activate: ({ signal }) => {
        let total = 0;
        return {
          add: async (n) => {
            await world.sleep(sim.between(0, 10), signal);
            total += n;
            return total;
          },
        };
      },
    };
  }

  #note(key: string, n: number): void {
    const seen = this.#processed.get(key) ?? [];
    this.#processed.set(key, seen);
    seen.push(n);
  }

  #alive(): Node[] {
    return [...this.#nodes.values()].filter(({ world }) => !world.dead);
  }

  /** One message of a key at a time, so that their order is known. */
  #publishLater(key: string): void {
    this.sim.at(this.sim.between(50, 900), async () => {
      const node = this.sim.pick(this.#alive());
      const n = this.#nextNumber.get(key) ?? 1;
      this.#nextNumber.set(key, n + 1);
      try {
        await node.kernel.lanes.publish(lane, key, { n }, { signal: never });
        const all = this.#acknowledged.get(key) ?? new Set();
        this.#acknowledged.set(key, all.add(n));
      } catch {
        // Not acknowledged: the message may be there or not.
      }
      if (!this.#quiet) this.#publishLater(key);
    });
  }

  #askLater(): void {
    this.sim.at(this.sim.between(5, 120), () => {
      const node = this.sim.pick(this.#alive());
      const id = this.#asks++;
      this.#askers.push(node.world);
      const limit = new AbortController();
      this.sim.at(askMs, () => limit.abort(new Error("too late")));
      const settle = () => {
        this.#settled.set(id, (this.#settled.get(id) ?? 0) + 1);
      };
      const ref = node.kernel.actors.ref(this.#kind(node.world), this.sim.pick(keys));
      void Promise.resolve()
        .then(() => ref.ask("add", 1, { signal: limit.signal }))
        .then(settle, settle);
      if (!this.#quiet) this.#askLater();
    });
  }

  #faultLater(): void {
    this.sim.at(this.sim.between(200, 3_000), () => {
      if (this.#quiet) return;
      this.#faults++;
      this.#oneFault();
      this.#faultLater();
    });
  }

  #oneFault(): void {
    const victim = this.sim.pick(this.#alive());
    const other = this.sim.pick(this.#alive());
    const heals = (run: () => void) => void this.sim.at(this.sim.between(200, 8_000), run);
    switch (Math.floor(this.sim.random() * 8)) {
      case 0:
        return this.#crash(victim);
      case 1:
        return victim.world.stall(this.sim.between(100, 7_000));
      case 2:
        this.#coordinator.cut(victim.name);
        return heals(() => this.#coordinator.heal());
      case 3:
        if (victim !== other) this.#network.cut(victim.name, other.name);
        return heals(() => this.#network.heal());
      case 4:
        victim.queue.cut();
        return heals(() => victim.queue.heal());
      case 5:
        // The coordinator answers nobody: long enough, and every lease ends.
        for (const { name } of this.#alive()) this.#coordinator.cut(name);
        return heals(() => this.#coordinator.heal());
      case 6: {
        const nodes = this.#alive();
        for (const { queue } of nodes) queue.cut();
        return heals(() => {
          for (const { queue } of nodes) queue.heal();
        });
      }
      default:
        return this.#restart(victim);
    }
  }

  #crash(victim: Node): void {
    if (this.#alive().length < 2) return;
    victim.world.kill();
    victim.queue.crash();
    this.#nodes.delete(victim.name);
    this.sim.at(this.sim.between(100, 6_000), () => {
      if (!this.#nodes.has(victim.name)) this.#boot(victim.name);
    });
  }

  /** As an operator does it: drained, left, and back. */
  #restart(victim: Node): void {
    if (this.#alive().length < 2) return;
    this.#nodes.delete(victim.name);
    this.#leaving.add(victim);
    void victim.kernel.stop().then(() => {
      this.#leaving.delete(victim);
      victim.world.kill();
      victim.queue.crash();
      if (!this.#nodes.has(victim.name)) this.#boot(victim.name);
    });
  }

  readonly #leaving = new Set<Node>();

  #checkOwners(): void {
    const nodes = [...this.#alive(), ...this.#leaving];
    for (let partition = 0; partition < this.#options.partitions; partition++) {
      const owners = nodes.filter(({ kernel, world }) => !world.dead && kernel.ownership.serves(partition));
      if (owners.length > 1) {
        throw new Error(`two owners of partition ${partition}: ${owners.map(({ name }) => name).join(" and ")}`);
      }
    }
  }

  #fullyOwned(): boolean {
    const nodes = this.#alive();
    for (let partition = 0; partition < this.#options.partitions; partition++) {
      if (!nodes.some(({ kernel }) => kernel.ownership.serves(partition))) return false;
    }
    return nodes.length === this.#options.nodes;
  }

  #allProcessed(): boolean {
    for (const [key, numbers] of this.#acknowledged) {
      const seen = new Set(this.#processed.get(key));
      for (const n of numbers) if (!seen.has(n)) return false;
    }
    return true;
  }

  /** Messages may come again, but a new one never before one that was published earlier. */
  #checkOrder(): void {
    for (const [key, seen] of this.#processed) {
      const first = new Set<number>();
      let newest = 0;
      for (const n of seen) {
        if (!first.has(n) && n < newest) throw new Error(`order of ${key}: ${n} first processed after ${newest}`);
        first.add(n);
        newest = Math.max(newest, n);
      }
    }
  }

  #checkAsks(): void {
    for (let id = 0; id < this.#asks; id++) {
      const answers = this.#settled.get(id) ?? 0;
      const waits = this.#askers[id]?.dead === false;
      if (answers > 1 || (answers === 0 && waits)) throw new Error(`ask ${id} was answered ${answers} times`);
    }
  }

  async #mustHold(what: string, holds: () => boolean, withinMs: number): Promise<void> {
    if (!(await this.sim.advance(withinMs, holds))) throw new Error(`${what}: not within ${withinMs} ms`);
  }
}

const never = new AbortController().signal;
setMaxListeners(0, never);
