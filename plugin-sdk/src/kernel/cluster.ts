import { capability } from "../define/capability.ts";

/** Who owns a key. A key's partition is fixed for the life of the data. */
export interface Cluster {
  /** This node's member id and, after it has joined, its incarnation. */
  readonly self: string;
  readonly incarnation: string;
  readonly partitions: number;
  /** Member ids of the newest view. */
  readonly members: readonly string[];
  partitionOf(key: string): number;
  /** The member that owns the key in the newest view; undefined while nobody does. */
  ownerOf(key: string): string | undefined;
  /** True when this node owns the key's partition and has taken it over. */
  owns(key: string): boolean;
  /** Called after every change of view or of what this node serves. */
  onChange(run: (change: ClusterChange) => void): Disposable;
}

export interface ClusterChange {
  readonly epoch: number;
  readonly members: readonly string[];
  readonly gained: readonly number[];
  readonly lost: readonly number[];
}
export const Cluster = capability<Cluster>("cluster@1");
