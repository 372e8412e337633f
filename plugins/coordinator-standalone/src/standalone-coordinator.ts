import {
  type CallOptions,
  type ClusterCoordinator,
  Fault,
  type Member,
  type Membership,
  type View,
  type World,
} from "@heddle/plugin-sdk";

/** A cluster of one: nobody to agree with, nobody to be evicted by. */
export class StandaloneCoordinator implements ClusterCoordinator {
  readonly #world: World;
  #epoch = 0;
  #present: Alone | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  async join(self: Omit<Member, "incarnation" | "drained">, { signal }: CallOptions): Promise<Membership> {
    signal.throwIfAborted();
    if (this.#present !== undefined) {
      const text = `coordinator-standalone: ${self.id} cannot join, ${this.#present.view.members[0]?.id} is the one member`;
      throw new Fault("conflict", "coordinator.duplicate", text);
    }
    this.#epoch += 1;
    const member = { ...self, incarnation: this.#world.uuid(), drained: 0 };
    this.#present = new Alone({ epoch: this.#epoch, members: [member] }, () => {
      this.#present = undefined;
    });
    return this.#present;
  }
}

class Alone implements Membership {
  readonly incarnation: string;
  readonly lost = new AbortController().signal;
  readonly validUntil = Number.POSITIVE_INFINITY;
  readonly #left = new AbortController();
  readonly #leave: () => void;
  #view: View;
  #changed: Gate = gate();

  constructor(view: View, leave: () => void) {
    this.#view = view;
    this.#leave = leave;
    this.incarnation = view.members[0]?.incarnation ?? "";
  }

  get view(): View {
    return this.#view;
  }

  async *views(signal: AbortSignal): AsyncIterable<View> {
    const ended = AbortSignal.any([signal, this.#left.signal]);
    const end = gate();
    ended.addEventListener("abort", end.resolve, { once: true });
    if (ended.aborted) return;
    for (let seen: View | undefined; !ended.aborted; ) {
      if (seen !== this.#view) {
        seen = this.#view;
        yield seen;
      } else await Promise.race([this.#changed.promise, end.promise]);
    }
  }

  async report(drained: number, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    if (this.#left.signal.aborted) {
      throw new Fault("conflict", "coordinator.left", "coordinator-standalone: this membership has been given up");
    }
    const { epoch, members } = this.#view;
    this.#view = { epoch, members: members.map((member) => ({ ...member, drained })) };
    this.#changed.resolve();
    this.#changed = gate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left.signal.aborted) return;
    this.#left.abort();
    this.#leave();
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
