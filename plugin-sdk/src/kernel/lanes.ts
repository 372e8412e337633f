import { capability } from "../define/capability.ts";
import type { Plain } from "../model/plain.ts";
import type { CallOptions, Turn } from "./call.ts";

/** A durable, partitioned stream of records. */
export interface LaneSpec {
  /** Topic name; lower case, digits and dashes. */
  readonly name: string;
  /** Records older than this may be dropped, read or not. */
  readonly retainMs: number;
  /**
   * Attempts in all, and the pause before the first repeat; it doubles up to ten seconds. A fault that says that it will
   * pass (`unavailable`, `exhausted`) uses up no attempt: the record waits until it has passed. An `invalid` one is not
   * repeated at all.
   */
  readonly retry: { readonly attempts: number; readonly backoffMs: number };
  /** What happens to a record whose attempts are used up. `deadLetter` publishes it to `<name>-dead`. */
  readonly exhausted: "skip" | "deadLetter";
  /**
   * Records of one key that may be in progress at once; default 1: the next starts when the one before is finished.
   * With more, they still *start* in order.
   */
  readonly pipeline?: number;
}

export interface LaneTurn extends Turn {
  /** 1 for the first delivery to this group. */
  readonly attempt: number;
  /** When the record was published, ms since the epoch. */
  readonly sentAt: number;
}

/**
 * Handles one record; a rejection is retried as the lane says. Runs only where the key's partition is owned. Bytes that
 * were published as bytes arrive as bytes.
 */
export type LaneHandler = (key: string, body: Plain, turn: LaneTurn) => Promise<void> | void;

export interface Lanes {
  /** Resolves when durable. Many calls share one promise: they became durable together. */
  publish(lane: LaneSpec, key: string, body: Plain, call: CallOptions): Promise<void>;
  /**
   * The fast way to the same handlers: at once, on the key's owner, without storing; at most once. Resolves when they are
   * done, rejects with what they threw; not ordered with what is published. Fault `lane.unheard` where nobody consumes it.
   */
  pass(lane: LaneSpec, key: string, body: Plain, call: CallOptions): Promise<void>;
  /** At least once, in key order; disposing stops reading and waits for the handlers in progress. */
  consume(lane: LaneSpec, group: string, handle: LaneHandler): AsyncDisposable;
}
export const Lanes = capability<Lanes>("lanes@1");
