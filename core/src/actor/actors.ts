import {
  type ActorKind,
  type ActorRef,
  type Actors,
  type CallOptions,
  Fault,
  type Log,
  type PassivateReason,
  type Turn,
  type Verbs,
  type World,
} from "@heddle/plugin-sdk";
import { Cell, type CellHost } from "./cell.ts";
import { ActorCounters } from "./counters.ts";
import type { Envelope } from "./mailbox.ts";

const defaultIdleMs = 120_000;
const sweepMs = 5_000;

/** Where keys live: what the actor system needs of the cluster. */
export interface Placement {
  readonly self: string;
  readonly epoch: number;
  /** False once the lease is lost: nothing may run. */
  readonly mayAct: boolean;
  ownerOf(key: string): string | undefined;
  partitionOf(key: string): number;
  serves(partition: number): boolean;
  /** Resolves when this node serves the partition; rejects when the signal aborts. */
  whenServing(partition: number, signal: AbortSignal): Promise<void>;
  /** Resolves at the next change of view; rejects when the signal aborts. */
  whenChanged(signal: AbortSignal): Promise<void>;
}

export interface RemoteActors {
  tell(node: string, to: Address, arg: unknown): void;
  /** Rejects with `actor.moved` when the node proved that the verb did not run there. */
  ask(node: string, to: Address, arg: unknown, call: CallOptions): Promise<unknown>;
}

/** Kind, key and verb of a message. */
export interface Address {
  readonly kind: string;
  readonly key: string;
  readonly verb: string;
  /** Pinned to the node: its ownership of the key does not matter. */
  readonly pinned: boolean;
}

export interface ActorSystemOptions {
  readonly world: World;
  readonly log: Log;
  readonly placement: Placement;
  readonly remote: RemoteActors;
}

/** All actors of this node, and references to those of others. */
export class ActorSystem implements Actors, CellHost {
  readonly world: World;
  readonly counters = new ActorCounters();
  coarseElapsed: number;
  readonly #log: Log;
  readonly #placement: Placement;
  readonly #remote: RemoteActors;
  readonly #kinds = new Map<string, ActorKind>();
  readonly #cells = new Map<string, Map<string, Cell>>();
  #sweeper: Disposable | undefined;

  constructor({ world, log, placement, remote }: ActorSystemOptions) {
    this.world = world;
    this.coarseElapsed = world.elapsed();
    this.#log = log;
    this.#placement = placement;
    this.#remote = remote;
  }

  /** Makes the kinds known; before it only references can be made. */
  open(kinds: readonly ActorKind[]): void {
    for (const kind of kinds) {
      if (this.#kinds.has(kind.kind))
        throw new Fault("invalid", "actor.kind", `two actor kinds are named ${kind.kind}`);
      this.#kinds.set(kind.kind, kind);
      this.#cells.set(kind.kind, new Map());
    }
    for (const kind of kinds) {
      if (kind.parent !== undefined && !this.#kinds.has(kind.parent)) {
        throw new Fault("invalid", "actor.kind", `actor kind ${kind.kind} has the unknown parent ${kind.parent}`);
      }
    }
    this.#sweepLater();
  }

  ref<P extends Verbs<P>>(kind: ActorKind<P>, key: string): ActorRef<P> {
    return new Ref(this, kind, key, undefined) as unknown as ActorRef<P>;
  }

  at<P extends Verbs<P>>(node: string, kind: ActorKind<P>, key: string): ActorRef<P> {
    return new Ref(this, kind, key, node) as unknown as ActorRef<P>;
  }

  async stop(kind: ActorKind, key: string): Promise<void> {
    await this.#cells.get(kind.kind)?.get(key)?.passivate("stopping");
  }

  /** Cells alive by kind, for metrics and tests. */
  census(): { kind: string; alive: number; backlog: number }[] {
    return [...this.#cells].map(([kind, cells]) => {
      let backlog = 0;
      for (const cell of cells.values()) backlog += cell.backlog;
      return { kind, alive: cells.size, backlog };
    });
  }

  kind(name: string): ActorKind | undefined {
    return this.#kinds.get(name);
  }

  /** Ends what lives on partitions that this node gives up; resolves when all turns have ended. */
  async release(partitions: ReadonlySet<number>): Promise<void> {
    const leaving: Promise<void>[] = [];
    for (const [name, cells] of this.#cells) {
      if (this.#kinds.get(name)?.placement !== "partition") continue;
      for (const cell of cells.values()) {
        if (partitions.has(this.#placement.partitionOf(cell.key))) leaving.push(cell.passivate("moved"));
      }
    }
    await Promise.all(leaving);
  }

  /** The lease is lost: every activation is dropped at once. */
  fence(): void {
    for (const cells of this.#cells.values()) for (const cell of [...cells.values()]) cell.fence();
  }

  /** Passivates everything, children first. */
  async close(): Promise<void> {
    this.#sweeper?.[Symbol.dispose]();
    const roots = [...this.#cells].filter(([name]) => this.#kinds.get(name)?.parent === undefined);
    await Promise.all(roots.flatMap(([, cells]) => [...cells.values()].map((cell) => cell.passivate("stopping"))));
    await Promise.all(
      [...this.#cells.values()].flatMap((cells) => [...cells.values()].map((c) => c.passivate("stopping"))),
    );
  }

  tellTo(kind: ActorKind, key: string, node: string | undefined, verb: string, arg: unknown): void {
    const home = node ?? this.#home(kind, key);
    if (home === this.#placement.self) this.tellHere(kind, key, verb, arg, "");
    else if (home === undefined) this.counters.deadLetters++;
    else this.#remote.tell(home, { kind: kind.kind, key, verb, pinned: node !== undefined }, arg);
  }

  tellHere(kind: ActorKind, key: string, verb: string, arg: unknown, trace: string): void {
    const cell = this.#cellFor(kind, key, verb);
    if (cell === undefined) return;
    this.counters.turns++;
    let now: { value: unknown } | undefined;
    try {
      now = cell.tryNow(verb, arg, undefined);
    } catch (error) {
      this.onFailure(cell, error, "turn");
      return;
    }
    if (now === undefined) {
      if (!cell.post({ verb, arg, signal: undefined, trace })) this.counters.deadLetters++;
    } else if (now.value instanceof Promise) now.value.then(undefined, (error) => this.onFailure(cell, error, "turn"));
  }

  askOf(
    kind: ActorKind,
    key: string,
    node: string | undefined,
    verb: string,
    arg: unknown,
    call: CallOptions,
  ): unknown {
    const home = node ?? this.#home(kind, key);
    if (home !== this.#placement.self) return this.#askAway({ kind, key, node, verb }, arg, call);
    const answer = this.askHere(kind, key, verb, arg, call);
    if (node !== undefined || kind.placement === "node" || !(answer instanceof Promise)) return answer;
    return answer.catch((error) => {
      if ((error as Fault).code !== "actor.moved") throw error;
      return this.#askAway({ kind, key, node, verb }, arg, call);
    });
  }

  /** Answers without a promise when the actor is idle and its handler does. Throws what the handler throws. */
  askHere(
    kind: ActorKind,
    key: string,
    verb: string,
    arg: unknown,
    call: CallOptions & { readonly trace?: string },
  ): unknown {
    const cell = this.#cellFor(kind, key, verb);
    if (cell === undefined) return undefined;
    this.counters.turns++;
    const trace = call.trace ?? "";
    const now = cell.tryNow(verb, arg, { signal: call.signal, trace } satisfies Turn);
    return now === undefined ? this.#wait(cell, { verb, arg, signal: call.signal, trace }) : now.value;
  }

  #wait(cell: Cell, mail: Pick<Envelope, "verb" | "arg" | "trace"> & { signal: AbortSignal }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (mail.signal.aborted) return reject(mail.signal.reason);
      const cancel = () => reject(mail.signal.reason);
      mail.signal.addEventListener("abort", cancel, { once: true });
      const settle =
        <V>(done: (value: V) => void) =>
        (value: V) => {
          mail.signal.removeEventListener("abort", cancel);
          done(value);
        };
      const envelope = { ...mail, resolve: settle(resolve), reject: settle(reject) };
      if (!cell.post(envelope))
        envelope.reject(new Fault("unavailable", "actor.unavailable", `actor ${cell.kind.kind} ${cell.key} has ended`));
    });
  }

  /** Asks the owner wherever it is; again only when a node proved that the verb did not run. */
  async #askAway(to: Target, arg: unknown, call: CallOptions): Promise<unknown> {
    const { kind, key, node, verb } = to;
    for (;;) {
      const epoch = this.#placement.epoch;
      const home = node ?? this.#home(kind, key);
      try {
        if (home === this.#placement.self) return await this.askHere(kind, key, verb, arg, call);
        if (home !== undefined) {
          return await this.#remote.ask(home, { kind: kind.kind, key, verb, pinned: node !== undefined }, arg, call);
        }
      } catch (error) {
        if ((error as Fault).code !== "actor.moved" || node !== undefined) throw error;
      }
      if (this.#placement.epoch === epoch) await this.#placement.whenChanged(call.signal);
    }
  }

  #home(kind: ActorKind, key: string): string | undefined {
    return kind.placement === "node" ? this.#placement.self : this.#placement.ownerOf(key);
  }

  /** The key's cell, made when the verb may wake it; undefined when a passive verb finds nobody. */
  #cellFor(kind: ActorKind, key: string, verb: string): Cell | undefined {
    const cells = this.#cells.get(kind.kind);
    if (cells === undefined)
      throw new Fault("internal", "actor.kind", `actor kind ${kind.kind} is not declared by any plugin`);
    let cell = cells.get(key);
    if (cell !== undefined) {
      cell.lastUsed = this.coarseElapsed;
      return cell;
    }
    if (kind.passive?.includes(verb) === true) return undefined;
    cell = new Cell(this, kind, key);
    cells.set(key, cell);
    return cell;
  }

  mayRun(): boolean {
    return this.#placement.mayAct;
  }

  epoch(): number {
    return this.#placement.epoch;
  }

  admitted(kind: ActorKind, key: string, signal: AbortSignal): Promise<void> | undefined {
    if (kind.placement === "node") return undefined;
    const partition = this.#placement.partitionOf(key);
    return this.#placement.serves(partition) ? undefined : this.#placement.whenServing(partition, signal);
  }

  parentOf(kind: ActorKind, key: string): Promise<Cell> | undefined {
    if (kind.parent === undefined) return undefined;
    const parentKind = this.#kinds.get(kind.parent) as ActorKind;
    const parent = this.#cellFor(parentKind, key.slice(0, Math.max(0, key.lastIndexOf("/"))), "");
    return parent === undefined ? undefined : parent.activate().then(() => parent);
  }

  onActivated(cell: Cell): void {
    this.counters.of(cell.kind.kind).activations++;
  }

  onPassivated(cell: Cell, why: PassivateReason): void {
    this.counters.of(cell.kind.kind)[why]++;
  }

  onFailure(cell: Cell, error: unknown, phase: string): void {
    this.counters.of(cell.kind.kind).failures++;
    this.#log.warn("actor failed", { kind: cell.kind.kind, key: cell.key, phase, error });
  }

  onDeadLetter(): void {
    this.counters.deadLetters++;
  }

  onUnasked(cell: Cell, error: unknown): void {
    this.#log.debug("activation given up", { kind: cell.kind.kind, key: cell.key, error });
  }

  onGone(cell: Cell): void {
    const cells = this.#cells.get(cell.kind.kind);
    if (cells?.get(cell.key) === cell) cells.delete(cell.key);
  }

  #sweepLater(): void {
    this.#sweeper = this.world.timer(sweepMs, () => {
      const now = this.world.elapsed();
      this.coarseElapsed = now;
      for (const [name, cells] of this.#cells) {
        const kind = this.#kinds.get(name);
        if (kind === undefined || kind.resident === true) continue;
        const idleMs = kind.idleMs ?? defaultIdleMs;
        for (const cell of cells.values()) {
          if (cell.state === "active" && cell.idle && now - cell.lastUsed >= idleMs) void cell.passivate("idle");
        }
      }
      this.#sweepLater();
    });
  }
}

interface Target {
  readonly kind: ActorKind;
  readonly key: string;
  readonly node: string | undefined;
  readonly verb: string;
}

class Ref {
  readonly #system: ActorSystem;
  readonly #kind: ActorKind;
  readonly #key: string;
  readonly #node: string | undefined;

  constructor(system: ActorSystem, kind: ActorKind, key: string, node: string | undefined) {
    this.#system = system;
    this.#kind = kind;
    this.#key = key;
    this.#node = node;
  }

  tell(verb: string, arg: unknown): void {
    this.#system.tellTo(this.#kind, this.#key, this.#node, verb, arg);
  }

  ask(verb: string, arg: unknown, call: CallOptions): unknown {
    return this.#system.askOf(this.#kind, this.#key, this.#node, verb, arg, call);
  }
}
