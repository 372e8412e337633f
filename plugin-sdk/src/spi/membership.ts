import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";

export interface Member {
  readonly id: string;
  /** New at every join; views name it, and a node ignores a view that names another of its own. */
  readonly incarnation: string;
  /** Where its `PeerLink` listens; empty on a node that is alone. */
  readonly address: string;
  readonly roles: readonly string[];
  readonly weight: number;
  /** Highest frame version it reads. */
  readonly wire: number;
  /** Partitions of the cluster; the same for every member, for the life of the data. */
  readonly partitions: number;
  /** The newest epoch for which it has stopped what it no longer owns. */
  readonly drained: number;
}

/** A strictly growing sequence; a changed record is a new view of the same epoch, another set of members a new epoch. */
export interface View {
  readonly epoch: number;
  readonly members: readonly Member[];
}

export interface Membership extends AsyncDisposable {
  readonly incarnation: string;
  /** Aborts *before* the coordinator may evict us. */
  readonly lost: AbortSignal;
  /**
   * `World.elapsed()` until which this node may act without hearing from the coordinator again; `Infinity` where nobody
   * can evict it. Checked before every turn, so that a node that was stalled acts on nothing before `lost` reaches it.
   */
  readonly validUntil: number;
  /** Begins with the newest view. Newest wins; skipped views are fine. */
  views(signal: AbortSignal): AsyncIterable<View>;
  report(drained: number, call: CallOptions): Promise<void>;
}

export interface ClusterCoordinator {
  /**
   * Fault `coordinator.duplicate` when a live member has this id, `coordinator.partitions` when the cluster was founded
   * with another number of partitions.
   */
  join(self: Omit<Member, "incarnation" | "drained">, call: CallOptions): Promise<Membership>;
}
export const ClusterCoordinator = capability<ClusterCoordinator>("cluster-coordinator@1");
