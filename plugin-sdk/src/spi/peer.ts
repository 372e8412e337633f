import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";

/** Who a node is for its peers, and whom it lets in. */
export interface PeerIdentity {
  /** Its member id: `from` of what it sends. */
  readonly id: string;
  /** False keeps the sender out. Asked when a peer connects, and again while it is connected. */
  admit(from: string): boolean;
}

/** The fast lane between nodes: frames, ordered per pair, at most once. */
export interface PeerLink extends AsyncDisposable {
  /**
   * Returns the address to publish; comes before the first `send`. The returned promise of `onFrame` is the
   * back-pressure: no frame of this sender follows before it settles. A frame may be a view of a larger buffer. Without
   * an identity, the id is the address, and everybody who passes the link's own proof is let in.
   */
  listen(onFrame: (from: string, frame: Uint8Array) => Promise<void> | void, identity?: PeerIdentity): Promise<string>;
  /**
   * Resolves when handed to the connection; the bytes of the frame must not change afterwards. Waits while too much is
   * under way to this peer. Faults: `peer.unreachable`, `peer.frame-too-large`, `peer.overloaded` (too many wait),
   * `peer.closed`.
   */
  send(address: string, frame: Uint8Array, call: CallOptions): Promise<void>;
}
export const PeerLink = capability<PeerLink>("peer-link@1");
