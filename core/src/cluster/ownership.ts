import { Fault, type Log, type Member, type Membership, type View, type World } from "@heddle/plugin-sdk";
import type { Placement } from "../actor/actors.ts";
import { sharedAbort } from "../shared-abort.ts";
import { murmur3 } from "./hash.ts";
import { assign } from "./ring.ts";

/** What starts and stops with a partition: lane readers, then the actors they feed. */
export interface PartitionDuty {
  take(partitions: readonly number[]): void;
  /** Resolves when nothing of these partitions runs any more. */
  release(partitions: ReadonlySet<number>): Promise<void>;
  /** The lease is lost: everything is dropped now. */
  fence(): void;
}

export interface OwnershipChange {
  readonly epoch: number;
  readonly members: readonly Member[];
  readonly gained: readonly number[];
  readonly lost: readonly number[];
}

export interface OwnershipOptions {
  readonly world: World;
  readonly log: Log;
  readonly self: string;
  readonly partitions: number;
  /** Switched off only by the simulation, to prove that it notices. */
  readonly barrier?: boolean;
}

/**
 * From views to partitions, with the drain barrier: on a view of epoch e this node first stops what it no longer owns,
 * then reports `drained = e`, and starts what it gains only when every member of that view shows `drained === e`.
 */
export class Ownership implements Placement {
  readonly self: string;
  readonly partitions: number;
  readonly #world: World;
  readonly #log: Log;
  readonly #barrier: boolean;
  readonly #duties: PartitionDuty[] = [];
  readonly #listeners = new Set<(change: OwnershipChange) => void>();
  readonly #serving = new Set<number>();
  #membership: Membership | undefined;
  #view: View = { epoch: 0, members: [] };
  /** Owners by the newest view. */
  #owners: (string | undefined)[] = [];
  /** The epoch whose losses have been stopped here. */
  #drained = 0;
  #mayAct = false;
  #converging: Promise<void> = Promise.resolve();
  #closed = sharedAbort();
  /** When the newest epoch was seen. */
  #epochAt = 0;
  readonly counters = { views: 0, gained: 0, lost: 0, fenced: 0 };
  /** Told how long after the view of a new epoch its gains were served, ms. */
  onHandOver: (ms: number) => void = () => {};

  constructor({ world, log, self, partitions, barrier }: OwnershipOptions) {
    this.#world = world;
    this.#log = log;
    this.self = self;
    this.partitions = partitions;
    this.#barrier = barrier ?? true;
  }

  get epoch(): number {
    return this.#view.epoch;
  }

  get mayAct(): boolean {
    if (!this.#mayAct) return false;
    const until = this.#membership?.validUntil ?? 0;
    return until === Number.POSITIVE_INFINITY || this.#world.elapsed() < until;
  }

  get members(): readonly Member[] {
    return this.#view.members;
  }

  /** By partition, as the newest view says. */
  get owners(): readonly (string | undefined)[] {
    return this.#owners;
  }

  get servedPartitions(): ReadonlySet<number> {
    return this.#serving;
  }

  /** True when this node serves everything that the newest view gives it. */
  get settled(): boolean {
    if (!this.mayAct || this.#view.members.length === 0 || this.#drained !== this.#view.epoch) return false;
    return this.#owners.every((owner, partition) => (owner === this.self) === this.#serving.has(partition));
  }

  addDuty(duty: PartitionDuty): void {
    this.#duties.push(duty);
  }

  onChange(run: (change: OwnershipChange) => void): Disposable {
    this.#listeners.add(run);
    return { [Symbol.dispose]: () => void this.#listeners.delete(run) };
  }

  partitionOf(key: string): number {
    return murmur3(key) % this.partitions;
  }

  ownerOf(key: string): string | undefined {
    return this.#owners[this.partitionOf(key)];
  }

  serves(partition: number): boolean {
    return this.#serving.has(partition) && this.mayAct;
  }

  whenServing(partition: number, signal: AbortSignal): Promise<void> {
    return this.#until(() => this.serves(partition), signal);
  }

  whenChanged(signal: AbortSignal): Promise<void> {
    const { epoch } = this.#view;
    return this.#until(() => this.#view.epoch !== epoch, signal);
  }

  /** Resolves when the newest view has at least this epoch. */
  whenEpoch(epoch: number, signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#view.epoch >= epoch, signal);
  }

  whenSettled(signal: AbortSignal): Promise<void> {
    return this.#until(() => this.settled, signal);
  }

  #until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const cancel = () => {
        watch[Symbol.dispose]();
        reject(signal.reason);
      };
      const watch = this.onChange(() => {
        if (!holds()) return;
        watch[Symbol.dispose]();
        signal.removeEventListener("abort", cancel);
        resolve();
      });
      signal.addEventListener("abort", cancel, { once: true });
    });
  }

  /** Follows the views of a membership until it is lost or this is closed. */
  async follow(membership: Membership): Promise<void> {
    this.#membership = membership;
    this.#mayAct = true;
    const fence = () => this.#fence();
    membership.lost.addEventListener("abort", fence, { once: true });
    const signal = AbortSignal.any([membership.lost, this.#closed.signal]);
    try {
      for await (const view of membership.views(signal)) {
        if (this.#concerns(view, membership)) this.#take(view);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      membership.lost.removeEventListener("abort", fence);
    }
  }

  /** A view that names another incarnation of this node, or not this one at all, is not for it. */
  #concerns(view: View, membership: Membership): boolean {
    const self = view.members.find((member) => member.id === this.self);
    return self?.incarnation === membership.incarnation && view.epoch >= this.#view.epoch;
  }

  #take(view: View): void {
    const newEpoch = view.epoch !== this.#view.epoch;
    this.counters.views++;
    if (newEpoch) this.#epochAt = this.#world.elapsed();
    this.#view = view;
    if (newEpoch) this.#owners = assign(this.partitions, view.members);
    this.#tell([], []);
    this.#converging = this.#converging.then(() => this.#converge()).catch((error) => this.#giveUp(error));
  }

  async #converge(): Promise<void> {
    const view = this.#view;
    const membership = this.#membership;
    if (!this.#mayAct || membership === undefined || this.#closed.signal.aborted) return;
    if (this.#drained < view.epoch) {
      await this.#stopLost();
      if (!this.#mayAct || this.#membership !== membership) return;
      this.#drained = view.epoch;
      await membership.report(view.epoch, { signal: AbortSignal.any([membership.lost, this.#closed.signal]) });
    }
    if (this.#view.epoch === this.#drained && this.mayAct && this.#everyoneDrained()) this.#startGained();
  }

  #everyoneDrained(): boolean {
    return !this.#barrier || this.#view.members.every((member) => member.drained === this.#view.epoch);
  }

  async #stopLost(): Promise<void> {
    const lost = new Set([...this.#serving].filter((partition) => this.#owners[partition] !== this.self));
    if (lost.size === 0) return;
    for (const partition of lost) this.#serving.delete(partition);
    const started = this.#world.elapsed();
    for (const duty of this.#duties) await duty.release(lost);
    this.counters.lost += lost.size;
    this.#log.info("partitions given up", {
      epoch: this.#view.epoch,
      count: lost.size,
      ms: Math.round(this.#world.elapsed() - started),
    });
    this.#tell([], [...lost]);
  }

  #startGained(): void {
    const gained: number[] = [];
    this.#owners.forEach((owner, partition) => {
      if (owner === this.self && !this.#serving.has(partition)) gained.push(partition);
    });
    if (gained.length === 0) return this.#tell([], []);
    for (const partition of gained) this.#serving.add(partition);
    for (const duty of this.#duties) duty.take(gained);
    const ms = this.#world.elapsed() - this.#epochAt;
    this.counters.gained += gained.length;
    this.onHandOver(ms);
    this.#log.info("partitions taken", { epoch: this.#view.epoch, count: gained.length, ms: Math.round(ms) });
    this.#tell(gained, []);
  }

  #tell(gained: readonly number[], lost: readonly number[]): void {
    const change = { epoch: this.#view.epoch, members: this.#view.members, gained, lost };
    for (const listener of [...this.#listeners]) listener(change);
  }

  #fence(): void {
    if (!this.#mayAct) return;
    this.#mayAct = false;
    this.counters.fenced++;
    const lost = [...this.#serving];
    this.#serving.clear();
    this.#membership = undefined;
    for (const duty of this.#duties) duty.fence();
    this.#log.warn("lease lost, node fenced", { partitions: lost.length });
    this.#tell([], lost);
  }

  #giveUp(error: unknown): void {
    if (this.#closed.signal.aborted || !this.#mayAct) return;
    this.#log.error("partition hand-over failed, node fences itself", { error });
    this.#fence();
  }

  /** Gives up everything in order; the membership may be left afterwards. */
  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new Fault("unavailable", "cluster.leaving", "this node is leaving the cluster"));
    await this.#converging;
    const all = new Set(this.#serving);
    this.#serving.clear();
    for (const duty of this.#duties) await duty.release(all);
    this.#mayAct = false;
    this.#tell([], [...all]);
  }
}
