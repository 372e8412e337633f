import {
  type CallOptions,
  type ClusterCoordinator,
  Fault,
  isFault,
  type Member,
  type Membership,
  type Plain,
  type View,
  type World,
} from "@heddle/plugin-sdk";
import type { Service } from "./answerer.ts";
import type { Caller } from "./caller.ts";
import { unknownMethod } from "./queue-wire.ts";

/** A worker that is not heard of for so long loses its seat; by its own clock it stops acting at two thirds of it. */
export const workerLeaseMs = 6_000;
const beatsPerLease = 6;

interface Seat {
  readonly membership: Membership;
  heardAt: number;
}

export interface SeatOptions {
  readonly world: World;
  readonly leaseMs: number;
  /** The worker did not say for a whole lease that it is alive. */
  silent(): void;
}

/** The parent's side: the seats of one worker. They go with its connection, or when it is silent. */
export class CoordinatorService implements Service {
  readonly brief = new Set(["beat"]);
  readonly #coordinator: ClusterCoordinator;
  readonly #options: SeatOptions;
  readonly #seats = new Map<number, Seat>();
  #lastSeat = 0;
  #watch: Disposable | undefined;
  #watchedAt = 0;
  #closed = false;

  constructor(coordinator: ClusterCoordinator, options: SeatOptions) {
    this.#coordinator = coordinator;
    this.#options = options;
  }

  serve(method: string, [first, second]: readonly any[], call: CallOptions): unknown {
    if (method === "join") return this.#join(first, call);
    const seat = this.#seats.get(first);
    if (seat === undefined) {
      if (method === "leave") return undefined;
      throw new Fault("conflict", "coordinator.left", `the parent knows no seat ${first} of this worker`);
    }
    switch (method) {
      case "beat":
        seat.heardAt = this.#options.world.elapsed();
        return undefined;
      case "views":
        return seat.membership.views(call.signal);
      case "report":
        return seat.membership.report(second, call);
      case "leave":
        return this.#leave(first);
      default:
        throw unknownMethod("coordinator", method);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch?.[Symbol.dispose]();
    await Promise.all([...this.#seats.keys()].map((id) => this.#leave(id)));
  }

  async #join(self: Omit<Member, "incarnation" | "drained">, call: CallOptions): Promise<Plain> {
    const { world, leaseMs } = this.#options;
    const membership = await this.#coordinator.join(self, call);
    if (this.#closed || call.signal.aborted) {
      await membership[Symbol.asyncDispose]();
      throw call.signal.reason;
    }
    const id = ++this.#lastSeat;
    this.#seats.set(id, { membership, heardAt: world.elapsed() });
    if (this.#watch === undefined) this.#watchOn();
    return [id, membership.incarnation, leaseMs];
  }

  #watchOn(): void {
    const { world, leaseMs } = this.#options;
    this.#watchedAt = world.elapsed();
    this.#watch = world.timer(leaseMs / beatsPerLease, () => this.#look());
  }

  #look(): void {
    const { world, leaseMs, silent } = this.#options;
    const now = world.elapsed();
    // When this process itself was stalled, what the worker said meanwhile still lies unread in the socket.
    const stalled = now - this.#watchedAt > leaseMs / 2;
    for (const [id, seat] of this.#seats) {
      if (stalled) seat.heardAt = now;
      else if (now - seat.heardAt > leaseMs) {
        void this.#leave(id);
        silent();
      }
    }
    this.#watchOn();
  }

  async #leave(id: number): Promise<void> {
    const seat = this.#seats.get(id);
    this.#seats.delete(id);
    await seat?.membership[Symbol.asyncDispose]();
  }
}

/** The worker's side. */
export class RemoteCoordinator implements ClusterCoordinator {
  readonly #caller: Caller;
  readonly #service: number;
  readonly #world: World;

  constructor(caller: Caller, service: number, world: World) {
    this.#caller = caller;
    this.#service = service;
    this.#world = world;
  }

  async join(self: Omit<Member, "incarnation" | "drained">, call: CallOptions): Promise<Membership> {
    const asked = this.#world.elapsed();
    const answer = await this.#caller.call(this.#service, "join", [self as unknown as Plain], call);
    const [seat, incarnation, leaseMs] = answer as unknown as [number, string, number];
    return new RemoteMembership({
      caller: this.#caller,
      service: this.#service,
      world: this.#world,
      seat,
      incarnation,
      leaseMs,
      asked,
    });
  }
}

interface RemoteSeat {
  readonly caller: Caller;
  readonly service: number;
  readonly world: World;
  readonly seat: number;
  readonly incarnation: string;
  readonly leaseMs: number;
  /** When the join was sent, by `World.elapsed`. */
  readonly asked: number;
}

class RemoteMembership implements Membership {
  readonly incarnation: string;
  readonly #at: RemoteSeat;
  readonly #lost = new AbortController();
  readonly #left = new AbortController();
  #validUntil: number;
  #beating: Disposable | undefined;

  constructor(at: RemoteSeat) {
    this.#at = at;
    this.incarnation = at.incarnation;
    this.#validUntil = at.asked + (at.leaseMs * 2) / 3;
    const { closed } = at.caller;
    if (closed.aborted) this.#lose(closed.reason);
    else closed.addEventListener("abort", this.#cut, { once: true });
    this.#beat();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get validUntil(): number {
    return this.#validUntil;
  }

  async *views(signal: AbortSignal): AsyncIterable<View> {
    const { caller, service, seat } = this.#at;
    const ended = AbortSignal.any([signal, this.#left.signal, this.#lost.signal]);
    try {
      const views = caller.pages(service, "views", [seat], { signal: ended, ahead: 0 });
      for await (const view of views) yield view as unknown as View;
    } catch (error) {
      if (!ended.aborted) throw error;
    }
  }

  async report(drained: number, call: CallOptions): Promise<void> {
    const { caller, service, seat } = this.#at;
    await caller.call(service, "report", [seat, drained], call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#left.signal.aborted) return;
    this.#left.abort();
    this.#stopBeating();
    const { caller, service, seat } = this.#at;
    try {
      await caller.open(service, "leave", [seat]).answer;
    } catch (error) {
      // The seat went with the connection.
      if (!isFault(error) || error.code !== "workers.closed") throw error;
    }
  }

  readonly #cut = () => this.#lose(this.#at.caller.closed.reason);

  #beat(): void {
    const { caller, service, world, seat, leaseMs } = this.#at;
    if (this.#lost.signal.aborted || this.#left.signal.aborted) return;
    const now = world.elapsed();
    if (now >= this.#validUntil) {
      const text = `the parent was not heard of for ${Math.round((leaseMs * 2) / 3)} ms`;
      return this.#lose(new Fault("unavailable", "coordinator.lost", text));
    }
    caller.open(service, "beat", [seat]).answer.then(
      () => {
        this.#validUntil = now + (leaseMs * 2) / 3;
      },
      (error) => this.#lose(error),
    );
    this.#beating = world.timer(leaseMs / beatsPerLease, () => this.#beat());
  }

  #lose(reason: unknown): void {
    this.#stopBeating();
    if (!this.#left.signal.aborted) this.#lost.abort(reason);
  }

  #stopBeating(): void {
    this.#beating?.[Symbol.dispose]();
    this.#at.caller.closed.removeEventListener("abort", this.#cut);
  }
}
