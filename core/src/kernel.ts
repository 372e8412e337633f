import {
  type ActorKind,
  type CallOptions,
  type Cluster,
  type ClusterChange,
  type ClusterCoordinator,
  type ClusterStatus,
  Fault,
  type Log,
  type Member,
  type Membership,
  type PeerLink,
  type QueueBackend,
  type World,
} from "@heddle/plugin-sdk";
import { ActorSystem } from "./actor/actors.ts";
import { Ownership } from "./cluster/ownership.ts";
import { clusterStatus } from "./cluster/status.ts";
import { DurableLanes } from "./lane/lanes.ts";
import { wireVersion } from "./remote/frame.ts";
import { Router } from "./remote/router.ts";
import { sharedAbort } from "./shared-abort.ts";
import { sleepOn } from "./world/system-world.ts";

const rejoinMs = 500;

export interface KernelOptions {
  readonly world: World;
  readonly log: Log;
  readonly id: string;
  readonly roles: readonly string[];
  readonly partitions: number;
  readonly coordinator: ClusterCoordinator;
  readonly queue: QueueBackend;
  readonly peer: PeerLink | undefined;
  /** Switched off only by the simulation. */
  readonly barrier?: boolean;
}

/** One node's actors, lanes and place in the cluster, wired together. */
export class Kernel {
  readonly actors: ActorSystem;
  readonly lanes: DurableLanes;
  readonly ownership: Ownership;
  readonly router: Router;
  readonly cluster: Cluster;
  readonly #options: KernelOptions;
  readonly #closed = sharedAbort();
  #membership: Membership | undefined;
  #incarnation = "";
  #following: Promise<void> = Promise.resolve();

  constructor(options: KernelOptions) {
    this.#options = options;
    const { world, log, queue, peer } = options;
    const ownership = new Ownership({ ...options, log: log.child("cluster"), self: options.id });
    this.ownership = ownership;
    this.router = new Router({
      world,
      log: log.child("remote"),
      ownership,
      peer,
      incarnation: () => this.#incarnation,
    });
    this.actors = new ActorSystem({ world, log: log.child("actor"), placement: ownership, remote: this.router });
    this.lanes = new DurableLanes({ world, log: log.child("lane"), queue, ownership, actors: this.actors });
    // Readers stop before the actors they feed.
    ownership.addDuty(this.lanes);
    const { actors, router } = this;
    ownership.addDuty({
      take: () => {},
      release: (partitions) => actors.release(partitions),
      fence: () => {
        actors.fence();
        router.close();
      },
    });
    this.cluster = this.#facade();
  }

  /**
   * Joins the cluster and takes its share: from here on actors live and lanes are read. Called when everything that
   * declares kinds and consumes lanes has started, so that a booting node delays nobody's hand-over.
   */
  async serve(kinds: readonly ActorKind[], signal: AbortSignal): Promise<void> {
    this.actors.open([...kinds, this.lanes.kind]);
    await this.lanes.prepare();
    const address = await this.router.listen(this.actors);
    this.#membership = await this.#join(address, signal);
    this.#following = this.#follow(address);
    await this.ownership.whenSettled(signal);
  }

  async #join(address: string, signal: AbortSignal): Promise<Membership> {
    const { coordinator, id, roles, partitions } = this.#options;
    const self: Omit<Member, "incarnation" | "drained"> = {
      id,
      address,
      roles: [...roles],
      weight: 1,
      wire: wireVersion,
      partitions,
    };
    const membership = await coordinator.join(self, { signal });
    this.#incarnation = membership.incarnation;
    return membership;
  }

  /** A node that lost its lease comes back as a new incarnation; it never resumes. */
  async #follow(address: string): Promise<void> {
    const { log, world } = this.#options;
    while (!this.#closed.signal.aborted) {
      const membership = this.#membership;
      if (membership !== undefined) {
        await this.ownership.follow(membership).catch((error) => log.error("views of the cluster ended", { error }));
        if (this.#closed.signal.aborted) return;
        this.#membership = undefined;
        await this.#leave(membership);
      }
      try {
        await sleepOn(world, rejoinMs, this.#closed.signal);
        this.#membership = await this.#join(address, this.#closed.signal);
        log.info("joined the cluster again", { incarnation: this.#incarnation });
      } catch (error) {
        if (!this.#closed.signal.aborted) log.warn("could not join the cluster, trying again", { error });
      }
    }
  }

  async #leave(membership: Membership): Promise<void> {
    try {
      await membership[Symbol.asyncDispose]();
    } catch (error) {
      this.#options.log.warn("leaving the cluster failed", { error });
    }
  }

  #facade(): Cluster {
    const { ownership } = this;
    const incarnation = () => this.#incarnation;
    return {
      self: ownership.self,
      partitions: ownership.partitions,
      get members() {
        return ownership.members.map(({ id }) => id);
      },
      get incarnation() {
        return incarnation();
      },
      partitionOf: (key) => ownership.partitionOf(key),
      ownerOf: (key) => ownership.ownerOf(key),
      owns: (key) => ownership.serves(ownership.partitionOf(key)),
      onChange: (run: (change: ClusterChange) => void) =>
        ownership.onChange(({ members, ...change }) => run({ ...change, members: members.map(({ id }) => id) })),
    };
  }

  status(call: CallOptions): Promise<ClusterStatus> {
    const { queue } = this.#options;
    return clusterStatus({ ownership: this.ownership, queue, lanes: this.lanes.counters() }, call);
  }

  /** Drains, leaves, so that the others take over at once, and passivates what is left. Safe twice. */
  async stop(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new Fault("unavailable", "cluster.leaving", "this node is stopping"));
    await this.ownership.close();
    // Nothing of the partitions runs here any more: the others need not wait for the rest.
    if (this.#membership !== undefined) await this.#leave(this.#membership);
    await this.actors.close();
    this.router.close();
    this.lanes.close();
    await this.#following;
  }
}
