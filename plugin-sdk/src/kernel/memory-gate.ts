import { capability } from "../define/capability.ts";

/**
 * Whether this process has room for new work: closed while it holds more memory than `node.memory` allows. Who takes
 * work from outside waits here before it does; what is already inside goes on, and makes room.
 */
export interface MemoryGate {
  readonly open: boolean;
  /** Resolves when there is room, in the order of the calls; rejects with the signal's reason. */
  whenOpen(signal: AbortSignal): Promise<void>;
}
export const MemoryGate = capability<MemoryGate>("memory-gate@1");
