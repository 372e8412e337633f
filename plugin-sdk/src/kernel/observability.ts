import { capability } from "../define/capability.ts";
import type { Health } from "../define/plugin.ts";
import type { CallOptions } from "./call.ts";

export interface NodeHealth {
  /** The worst of the plugins. */
  readonly state: Health["state"];
  /** True when the node has started, owns its partitions and its back-ends are up. */
  readonly ready: boolean;
  readonly plugins: Readonly<Record<string, Health>>;
}

/** The cluster as one node sees it. */
export interface ClusterStatus {
  /** Member id of the node that tells. */
  readonly self: string;
  readonly epoch: number;
  readonly partitions: number;
  readonly members: readonly {
    readonly id: string;
    readonly incarnation: string;
    readonly address: string;
    readonly roles: readonly string[];
    /** The newest epoch for which it has given up what it no longer owns. */
    readonly drained: number;
    /** Partitions that the newest view gives it. */
    readonly partitions: number;
  }[];
  /** Partitions that this node really serves by now. */
  readonly serving: number;
  /** Records that a lane's group has not finished; undefined where the queue cannot tell. */
  readonly lanes: readonly { readonly lane: string; readonly group: string; readonly lag: number | undefined }[];
}

/** What a node says about itself; a plugin with an HTTP listener publishes it. */
export interface Observability {
  /** Prometheus text exposition format 0.0.4. */
  metrics(): string;
  health(): Promise<NodeHealth>;
  /** Fault `unavailable` before the node has joined. */
  cluster(call: CallOptions): Promise<ClusterStatus>;
}
export const Observability = capability<Observability>("observability@1");

/** A line of the ready block: what a node serves and how to try it. */
export interface ReadyNote {
  readonly title: string;
  readonly lines: readonly string[];
  /** A command that sends a device's first value; `{token}` stands for the device's token. */
  readonly example?: string;
  /** A token that everybody may try; the examples are then printed with it. */
  readonly sampleToken?: string;
}

/** Collected once all plugins have started and printed when the node is ready. */
export interface ReadyNotes {
  add(note: ReadyNote): void;
}
export const ReadyNotes = capability<ReadyNotes>("ready-notes@1");
