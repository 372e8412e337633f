import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";

/** A server-side RPC (device-api 2.7, rest-semantics 9). */
export interface RpcCall {
  readonly tenantId: string;
  readonly deviceId: string;
  /** UUID; of a persistent call also the id of its record. */
  readonly id: string;
  readonly method: string;
  /** JSON text. */
  readonly params: string;
  readonly oneway: boolean;
  readonly persistent: boolean;
  /** ms since the epoch. */
  readonly expiresAt: number;
  readonly retries?: number;
  /** JSON text. */
  readonly additionalInfo?: string;
}

/** `error`: nobody was connected, nobody answered, or the device's transport refused it. */
export interface RpcOutcome {
  /** JSON text of the device's answer; absent for one-way and persistent calls. */
  readonly response?: string;
  readonly error?: "NO_ACTIVE_CONNECTION" | "TIMEOUT" | "INTERNAL" | "NOT_FOUND";
}

/** What the domain asks of connected devices. */
export interface DeviceControl {
  /**
   * A call from outside: goes to the rule engine as RPC_CALL_FROM_SERVER_TO_DEVICE, whose chain decides (rest-semantics
   * 9.4). Resolves with the outcome, at the latest when the call expires.
   */
  request(call: RpcCall, options: CallOptions): Promise<RpcOutcome>;
  /** A call from a rule chain: straight to the device. */
  send(call: RpcCall, options: CallOptions): Promise<RpcOutcome>;
  /** Tells the node that waits in `request` how the call that a chain made for it ended. */
  settle(origin: { readonly node: string; readonly id: string }, outcome: RpcOutcome): void;
  /** Drops a persistent call that the device has not answered. */
  cancel(
    at: { readonly tenantId: string; readonly deviceId: string; readonly id: string },
    options: CallOptions,
  ): Promise<void>;
  /** Answers an RPC that the device made (rule node "rpc call reply"); `json` is what the device gets. */
  reply(to: { readonly node: string; readonly sessionId: string; readonly requestId: number }, json: string): void;
}
export const DeviceControl = capability<DeviceControl>("device-control@1");
