import {
  type CallOptions,
  type ClusterCoordinator,
  Fault,
  type Member,
  type Membership,
  type View,
} from "@heddle/plugin-sdk";
import type { Simulation, SimWorld } from "./sim-world.ts";
import { ViewStream } from "./view-stream.ts";

/** Session of a member at the coordinator; it is evicted when nothing was heard of it for so long. */
export const sessionMs = 4_000;
const pingMs = sessionMs / 6;
/** The member stops acting earlier, by its own clock. */
const leaseMs = (sessionMs * 2) / 3;

interface Seat {
  member: Member;
  heardAt: number;
  readonly stream: ViewStream;
  readonly world: SimWorld;
}

/** A coordinator that never fails itself, behind connections that do. */
export class SimCoordinator {
  readonly #sim: Simulation;
  readonly #seats = new Map<string, Seat>();
  readonly #cut = new Set<string>();
  #epoch = 0;
  /** Switched off only to prove that the simulation notices. */
  leases = true;

  constructor(sim: Simulation) {
    this.#sim = sim;
    this.#evictLater();
  }

  cut(node: string): void {
    this.#cut.add(node);
  }

  heal(): void {
    this.#cut.clear();
  }

  client(world: SimWorld): ClusterCoordinator {
    return { join: (self, call) => this.#join(world, self, call) };
  }

  get members(): readonly Member[] {
    return [...this.#seats.values()].map(({ member }) => member);
  }

  async #join(
    world: SimWorld,
    self: Omit<Member, "incarnation" | "drained">,
    { signal }: CallOptions,
  ): Promise<Membership> {
    await this.#trip(world, self.id, signal);
    if (this.#seats.has(self.id)) throw new Fault("conflict", "coordinator.duplicate", `member ${self.id} is alive`);
    const founded = this.members[0]?.partitions ?? self.partitions;
    if (founded !== self.partitions) {
      const text = `member ${self.id} has ${self.partitions} partitions, the cluster ${founded}`;
      throw new Fault("conflict", "coordinator.partitions", text);
    }
    const member: Member = { ...self, incarnation: world.uuid(), drained: 0 };
    const stream = new ViewStream();
    const seat: Seat = { member, heardAt: this.#sim.now, stream, world };
    this.#seats.set(self.id, seat);
    this.#epoch++;
    this.#publish();
    return this.#membership(seat);
  }

  #membership(seat: Seat): Membership {
    const { world } = seat;
    const { id, incarnation } = seat.member;
    const lost = new AbortController();
    let heardAt = world.elapsed();
    const ping = () => {
      if (lost.signal.aborted) return;
      if (this.leases && world.elapsed() - heardAt >= leaseMs) {
        lost.abort(new Fault("unavailable", "coordinator.lost", `nothing heard for ${leaseMs} ms`));
        return;
      }
      const asked = world.elapsed();
      this.#trip(world, id, lost.signal).then(
        () => {
          if (this.#seats.get(id) !== seat) return lost.abort(new Fault("unavailable", "coordinator.lost", "evicted"));
          seat.heardAt = this.#sim.now;
          heardAt = asked;
        },
        () => undefined, // unheard: the lease runs on
      );
      world.timer(pingMs, ping);
    };
    ping();
    const leases = () => this.leases;
    return {
      incarnation,
      lost: lost.signal,
      get validUntil() {
        return leases() ? heardAt + leaseMs : Number.POSITIVE_INFINITY;
      },
      views: (signal) => seat.stream.iterate(signal),
      report: async (drained, { signal }) => {
        while (!(await this.#reaches(world, id, signal))) await world.sleep(50, signal);
        if (this.#seats.get(id) !== seat || seat.member.drained >= drained) return;
        seat.member = { ...seat.member, drained };
        this.#publish();
      },
      [Symbol.asyncDispose]: async () => {
        lost.abort(new Fault("unavailable", "coordinator.left", "left"));
        if (this.#seats.get(id) !== seat) return;
        this.#seats.delete(id);
        this.#epoch++;
        this.#publish();
      },
    };
  }

  async #reaches(world: SimWorld, id: string, signal: AbortSignal): Promise<boolean> {
    await world.sleep(this.#sim.between(0.2, 5), signal);
    return !this.#cut.has(id);
  }

  async #trip(world: SimWorld, id: string, signal: AbortSignal): Promise<void> {
    if (!(await this.#reaches(world, id, signal))) throw new Fault("unavailable", "coordinator.unreachable", "cut off");
  }

  #evictLater(): void {
    this.#sim.at(100, () => {
      const gone = [...this.#seats].filter(([, seat]) => this.#sim.now - seat.heardAt > sessionMs);
      for (const [id] of gone) this.#seats.delete(id);
      if (gone.length > 0) {
        this.#epoch++;
        this.#publish();
      }
      this.#evictLater();
    });
  }

  /** Views reach members late, each for itself; newer ones overtake. */
  #publish(): void {
    const view: View = { epoch: this.#epoch, members: this.members };
    for (const seat of this.#seats.values()) {
      const arrive = () => {
        if (this.#seats.get(seat.member.id) !== seat) return;
        if (this.#cut.has(seat.member.id)) this.#sim.at(200, arrive);
        else seat.world.run(() => seat.stream.push(view));
      };
      this.#sim.at(this.#sim.between(0.5, 20), arrive);
    }
  }
}
