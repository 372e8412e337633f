import type { DeviceEvent, RpcCall, RpcOutcome, RpcRequest, SessionEndReason } from "@heddle/plugin-sdk";

/** A session as the owner of its device knows it; soft state that the session's node renews. */
export interface SessionRecord {
  readonly session: string;
  readonly node: string;
  readonly rpc: boolean;
  readonly attributes: boolean;
  /** A long poll (device-api 3.4). */
  readonly poll: boolean;
}

/** Everything about one device that must happen in one place, one at a time. */
export interface DeviceVerbs {
  open(session: SessionRecord): void;
  close(at: { readonly session: string }): void;
  /** Changed subscriptions, or a session that a new owner does not know yet. */
  renew(session: SessionRecord): void;
  /** `session` is absent for a visit. */
  heard(at: { readonly ts: number; readonly session?: SessionRecord }): void;
  rpc(call: RpcCall): Promise<RpcOutcome>;
  rpcReply(reply: { readonly requestId: number; readonly payload: string }): void;
  cancelRpc(at: { readonly id: string }): Promise<void>;
  event(event: DeviceEvent): Promise<void>;
  /** After a restart: somebody was active and may have fallen silent since. */
  wake(none: null): void;
}

/** The sessions of one node. */
export interface SessionHubVerbs {
  /** Resolves when the device confirmed; rejects `session.gone` when the session has ended. */
  rpc(to: { readonly session: string; readonly request: RpcRequest }): Promise<void>;
  attributes(to: { readonly session: string; readonly json: string }): void;
  end(at: { readonly session: string; readonly reason: SessionEndReason }): void;
  reply(to: { readonly session: string; readonly requestId: number; readonly json: string }): void;
  settle(call: { readonly id: string; readonly outcome: RpcOutcome }): void;
  /** What is known here of these devices is out of date. */
  forget(devices: { readonly deviceId: string }): void;
}
