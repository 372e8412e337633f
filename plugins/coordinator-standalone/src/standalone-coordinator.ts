import {
  type CallOptions,
  type ClusterCoordinator,
  Fault,
  type Member,
  type Membership,
  type View,
  type World,
} from "@heddle/plugin-sdk";

/** A cluster inside one machine: whoever joins shares this object, so nobody can be cut off from it. */
export class StandaloneCoordinator implements ClusterCoordinator {
  readonly #world: World;
  readonly #seats = new Map<string, Seat>();
  #view: View = { epoch: 0, members: [] };

  constructor(world: World) {
    this.#world = world;
  }

  async join(self: Omit<Member, "incarnation" | "drained">, { signal }: CallOptions): Promise<Membership> {
    signal.throwIfAborted();
    if (this.#seats.has(self.id)) {
      throw new Fault("conflict", "coordinator.duplicate", `coordinator-standalone: ${self.id} is a member already`);
    }
    const founded = this.#view.members[0]?.partitions ?? self.partitions;
    if (founded !== self.partitions) {
      const text = `coordinator-standalone: ${self.id} has ${self.partitions} partitions, the cluster ${founded}`;
      throw new Fault("conflict", "coordinator.partitions", text);
    }
    const member = { ...self, incarnation: this.#world.uuid(), drained: 0 };
    const seat = new Seat(member, {
      view: () => this.#view,
      report: (drained) => {
        const { epoch, members } = this.#view;
        const reported = (one: Member) => (one.incarnation === member.incarnation ? { ...one, drained } : one);
        this.#publish({ epoch, members: members.map(reported) });
      },
      leave: () => {
        this.#seats.delete(self.id);
        const { epoch, members } = this.#view;
        this.#publish({ epoch: epoch + 1, members: members.filter((one) => one.incarnation !== member.incarnation) });
      },
    });
    this.#seats.set(self.id, seat);
    this.#publish({ epoch: this.#view.epoch + 1, members: [...this.#view.members, member] });
    return seat;
  }

  #publish(view: View): void {
    this.#view = view;
    for (const seat of this.#seats.values()) seat.changed();
  }
}

interface Table {
  view(): View;
  report(drained: number): void;
  leave(): void;
}

class Seat implements Membership {
  readonly incarnation: string;
  readonly lost = new AbortController().signal;
  readonly validUntil = Number.POSITIVE_INFINITY;
  readonly #left = new AbortController();
  readonly #table: Table;
  #changed: Gate = gate();

  constructor({ incarnation }: Member, table: Table) {
    this.incarnation = incarnation;
    this.#table = table;
  }

  changed(): void {
    this.#changed.resolve();
    this.#changed = gate();
  }

  async *views(signal: AbortSignal): AsyncIterable<View> {
    const ended = AbortSignal.any([signal, this.#left.signal]);
    const end = gate();
    ended.addEventListener("abort", end.resolve, { once: true });
    for (let seen: View | undefined; !ended.aborted; ) {
      const view = this.#table.view();
      if (seen === view) await Promise.race([this.#changed.promise, end.promise]);
      else {
        seen = view;
        yield view;
      }
    }
  }

  async report(drained: number, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    if (this.#left.signal.aborted) {
      throw new Fault("conflict", "coordinator.left", "coordinator-standalone: this membership has been given up");
    }
    this.#table.report(drained);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left.signal.aborted) return;
    this.#left.abort();
    this.#table.leave();
  }
}

interface Gate {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function gate(): Gate {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
