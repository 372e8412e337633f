import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";

/** The fast lane between nodes: frames, ordered per pair, at most once. */
export interface PeerLink extends AsyncDisposable {
  /** Returns the address to publish. The returned promise of `onFrame` is the back-pressure. */
  listen(onFrame: (from: string, frame: Uint8Array) => Promise<void> | void): Promise<string>;
  /** Resolves when handed to the connection; rejects with `peer.unreachable`. */
  send(address: string, frame: Uint8Array, call: CallOptions): Promise<void>;
}
export const PeerLink = capability<PeerLink>("peer-link@1");
