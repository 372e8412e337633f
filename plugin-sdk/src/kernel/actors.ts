import { capability, extensionPoint } from "../define/capability.ts";
import type { CallOptions, Turn } from "./call.ts";

/** The verbs of a kind: method names with one argument each; arguments and results are `Plain`. */
export type Verbs<P> = { [M in keyof P]: (arg: any) => unknown };

export type Handlers<P extends Verbs<P>> = {
  [M in keyof P]: (arg: Parameters<P[M]>[0], turn: Turn) => ReturnType<P[M]> | Promise<Awaited<ReturnType<P[M]>>>;
} & {
  passivate?(why: PassivateReason): Promise<void> | void;
  /** True keeps an idle actor in memory: it holds something that the store does not. */
  stays?(): boolean;
};

export type PassivateReason = "idle" | "moved" | "stopping";

export interface ActorKind<P extends Verbs<P> = any> {
  /** Unique in a distribution; the name in frames and metrics. */
  readonly kind: string;
  /** Kind of the actor that starts, supervises and stops it; its key is this key without the last segment. */
  readonly parent?: string;
  /** One on every node, or exactly one in the cluster, on the owner of the key's partition. */
  readonly placement: "node" | "partition";
  /** Stays in memory while its parent lives; otherwise it is passivated when idle. */
  readonly resident?: boolean;
  /** Turns that may be awaiting at once; default 1. */
  readonly concurrency?: number;
  /** These verbs overtake the rest of the mailbox. */
  readonly urgent?: readonly (keyof P & string)[];
  /** These verbs never wake a sleeping actor: without an activation they are dropped, and an ask answers undefined. */
  readonly passive?: readonly (keyof P & string)[];
  /** Bound of the mailbox; default 256. */
  readonly mailbox?: number;
  /** Default two minutes. */
  readonly idleMs?: number;
  activate(self: ActorSelf): Handlers<P> | Promise<Handlers<P>>;
}

export interface ActorSelf {
  readonly key: string;
  readonly epoch: number;
  /** Aborts when the activation ends: moved, stopped, or fenced. */
  readonly signal: AbortSignal;
}

/** `await` it: it is the answer itself, or a throw, when the actor was here, idle and answered without waiting. */
export type Answer<R> = R | Promise<R>;

export interface ActorRef<P extends Verbs<P>> {
  /** At most once. A full mailbox makes it a counted dead letter. */
  tell<M extends keyof P & string>(verb: M, arg: Parameters<P[M]>[0]): void;
  /**
   * Waits for room and for the answer until the signal aborts.
   * Faults: `actor.unavailable` (owner died or moved while it ran), the handler's own fault.
   */
  ask<M extends keyof P & string>(
    verb: M,
    arg: Parameters<P[M]>[0],
    call: CallOptions,
  ): Answer<Awaited<ReturnType<P[M]>>>;
}

export interface Actors {
  /** The actor on the key's owner; for kinds placed per node, the one on this node. Always valid, nothing is started. */
  ref<P extends Verbs<P>>(kind: ActorKind<P>, key: string): ActorRef<P>;
  /** Pinned to a node: a session, a subscriber. */
  at<P extends Verbs<P>>(node: string, kind: ActorKind<P>, key: string): ActorRef<P>;
  /**
   * Stops the local activation and its children, children first; resolves when all have passivated. A parent stops what
   * no longer exists this way: a deleted tenant takes its devices, chains and nodes with it.
   */
  stop(kind: ActorKind<any>, key: string): Promise<void>;
}
export const Actors = capability<Actors>("actors@1");
/** Each provider contributes a list. Kinds are private to the plugin that declares them; others use its service. */
export const ActorKinds = extensionPoint<readonly ActorKind<any>[]>("actor-kinds@1");
