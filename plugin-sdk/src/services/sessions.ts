import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";

/** How a device proves who it is (device-api 1). */
export type DeviceProof =
  | { readonly kind: "token"; readonly token: string }
  | {
      readonly kind: "basic";
      readonly clientId: string;
      readonly userName: string;
      readonly password: string | undefined;
    }
  /** `hash` is H(base64 of the DER leaf), device-api 1.1. */
  | { readonly kind: "x509"; readonly hash: string };

export interface DeviceIdentity {
  readonly tenantId: string;
  readonly customerId: string | undefined;
  readonly deviceId: string;
  readonly deviceName: string;
  readonly deviceType: string;
  readonly deviceLabel: string | undefined;
  readonly profileId: string;
  /** DEFAULT, MQTT, COAP, …: what the profile lets in (device-api 0.7). */
  readonly transportType: string;
  /** `transportConfiguration` of the profile's data, as stored; empty for DEFAULT. */
  readonly transport: Readonly<Record<string, unknown>>;
  readonly ruleChainId: string | undefined;
  readonly gateway: boolean;
  /** Of a gateway: what is heard of it counts as heard of its children (device-api 2.9). */
  readonly refreshesChildren: boolean;
  /** `transportConfiguration` of the device's own data, as stored: its power settings (device-api 4.5). */
  readonly ownTransport: Readonly<Record<string, unknown>>;
}

/**
 * The transports' door. Payloads are the bytes as received: they are read here, leniently and typed (device-api 0.2–0.5),
 * so that every protocol reads alike.
 */
export interface Sessions {
  /**
   * Undefined when no credentials match: counted, and told the later the more often that address was wrong. Fault
   * `unavailable` when the store cannot be asked.
   */
  authenticate(by: DeviceProof, call: CallOptions & { readonly from?: Origin }): Promise<DeviceIdentity | undefined>;
  /** Whether the address has been wrong so often that it is refused unheard for a while (device-api 0.1); off by default. */
  isBlocked(address: string): boolean;
  /** Who a device is, fresh from the store; undefined when it does not exist. */
  identify(deviceId: string, call: CallOptions): Promise<DeviceIdentity | undefined>;
  /** Opens a session that receives; the newest replaces an older one beyond the limit per device (device-api 2.10). */
  open(who: DeviceIdentity, about: SessionInfo, down: Downlinks, call: CallOptions): Promise<Session>;
  /** For protocols without a session: an uplink counts as activity and opens nothing (device-api 7.2). */
  visit(who: DeviceIdentity): Uplinks;
}

/** Where a proof came from. */
export interface Origin {
  /** `mqtt`, `http`, `coap`. */
  readonly transport: string;
  /** IP address, without the port. */
  readonly address: string;
}

export interface SessionInfo {
  /** `mqtt`, `http`, `coap`. */
  readonly transport: string;
  /** Peer address for logs. */
  readonly peer: string;
  /** A long poll: takes one call, replaces nobody, and is no connection of the device (device-api 3.4). */
  readonly poll?: boolean;
  /**
   * The session of the gateway that speaks for this device. The child's session ends with it, counts against the limits of
   * the gateway (device-api 0.6), and is a session of the child like any other: it is replaced, and replaces.
   */
  readonly through?: Session;
}

/**
 * What a device may do. A promise of `telemetry` and `attributes` resolves when the durable lane has every message: the
 * moment to acknowledge. The call itself runs synchronously up to the hand-over, so call order is lane order.
 * Faults: `device.payload` (invalid), `device.rate-limit` (exhausted), lane faults (unavailable).
 */
export interface Uplinks {
  telemetry(payload: Uint8Array, meta?: Readonly<Record<string, string>>): Promise<void>;
  attributes(payload: Uint8Array, meta?: Readonly<Record<string, string>>): Promise<void>;
  /** Client and shared attributes; `"all"` of each, or names (device-api 2.5). */
  readAttributes(want: AttributesWanted, call: CallOptions): Promise<AttributesReply>;
  /**
   * Device-to-server RPC (device-api 2.6). `accepted` resolves when the durable lane has it; `reply` with the answer's
   * text, or it rejects with `rpc.timeout`.
   */
  rpc(request: ClientRpcRequest, call: CallOptions): ClientRpc;
  /** The device's answer to a server-side RPC. */
  rpcReply(requestId: number, payload: Uint8Array): Promise<void>;
  /** Something was heard of the device. */
  touch(): void;
  /**
   * Counts one message that is neither telemetry nor attributes nor one of the calls above (a claim, an OTA package's
   * lookup) against the limits of tenant and device. Fault `device.rate-limit`.
   */
  spend(): void;
  /** What the device may send, for those who ask in advance (device-api 2.6). */
  limits(): SessionLimits;
}

/** Limit texts as in the tenant's profile, `capacity:seconds` with commas; null is unlimited (device-api 0.6). */
export interface RateLimits {
  readonly messages: string | null;
  readonly telemetryMessages: string | null;
  readonly telemetryDataPoints: string | null;
}

export const unlimited: RateLimits = { messages: null, telemetryMessages: null, telemetryDataPoints: null };

export interface SessionLimits {
  readonly own: RateLimits;
  /** Of what a gateway sends for its children. */
  readonly children: RateLimits;
}

export interface ClientRpcRequest {
  readonly requestId: number;
  readonly payload: Uint8Array;
  /** HTTP insists on `params` (device-api 3.5). */
  readonly paramsRequired?: boolean;
}

export interface ClientRpc {
  readonly accepted: Promise<void>;
  readonly reply: Promise<string>;
}

export interface Session extends Uplinks, AsyncDisposable {
  readonly id: string;
  /** Follows changes of the device and its profile while the session is open: read it anew for each message. */
  readonly device: DeviceIdentity;
  /** Aborts when the platform ends the session; the reason is a `SessionEnd`. */
  readonly closed: AbortSignal;
  /** Resolves when the owner of the device knows it: pushes from now on arrive. */
  subscribe(what: "attributes" | "rpc", on: boolean, call: CallOptions): Promise<void>;
}

/** `unconfirmed`: the device left a call unconfirmed too often; `gateway`: the session that spoke for it has ended. */
export type SessionEndReason = "credentials" | "replaced" | "idle" | "deleted" | "leaving" | "unconfirmed" | "gateway";
export interface SessionEnd {
  readonly reason: SessionEndReason;
}

export interface AttributesWanted {
  readonly client: readonly string[] | "all" | "none";
  readonly shared: readonly string[] | "all" | "none";
}

/** Typed JSON texts of flat objects; absent where nothing of that scope was asked for. */
export interface AttributesReply {
  readonly client?: string;
  readonly shared?: string;
}

export interface RpcRequest {
  readonly requestId: number;
  readonly method: string;
  /** JSON text. */
  readonly params: string;
  readonly oneway: boolean;
}

/**
 * What reaches a device. `deliver…` resolves when the device has it (PUBACK), or at once where nothing confirms. Fault
 * `<transport>.unconfirmed` (unavailable) when the device should have confirmed and did not.
 */
export interface Downlinks {
  /** JSON text: the changed values as one flat object, or `{"deleted":[keys]}`. */
  deliverAttributes(json: string, call: CallOptions): Promise<void>;
  deliverRpc(request: RpcRequest, call: CallOptions): Promise<void>;
}
export const Sessions = capability<Sessions>("sessions@1");
