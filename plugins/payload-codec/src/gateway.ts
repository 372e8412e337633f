import type { AttributesReply, ChildName, Fault, RpcRequest } from "@heddle/plugin-sdk";

/** What a message of a gateway says of one of its devices. */
export interface ChildPart {
  readonly name: string;
  /** JSON text that the child's own session takes; empty when `fault` says why there is none. */
  readonly document: Uint8Array;
  /** This part cannot be read; the others of the message can. */
  readonly fault?: Fault;
  readonly latencies?: readonly Latency[];
}

/** When a value was read from a device, and when the gateway sent it on, ms since the epoch (device-api 2.9). */
export interface Latency {
  readonly connector: string;
  readonly receivedTs: number;
  readonly publishedTs: number;
}

export interface ChildAttributesRequest {
  readonly id: number;
  readonly name: string;
  /** CLIENT_SCOPE rather than SHARED_SCOPE. */
  readonly client: boolean;
  /** Empty: all attributes of both scopes. */
  readonly keys: readonly string[];
}

/**
 * What gateways write and read for the devices behind them, in one encoding (device-api 2.9). Faults: `device.payload` for
 * what cannot be read at all, `gateway.shape` for a document of the wrong shape; both `invalid`.
 */
export interface GatewayCodec {
  connect(payload: Uint8Array): ChildName;
  disconnect(payload: Uint8Array): string;
  telemetry(payload: Uint8Array): readonly ChildPart[];
  attributes(payload: Uint8Array): readonly ChildPart[];
  claims(payload: Uint8Array): readonly ChildPart[];
  attributesRequest(payload: Uint8Array): ChildAttributesRequest;
  rpcReply(payload: Uint8Array): { readonly name: string; readonly id: number; readonly reply: Uint8Array };
  attributesReply(request: ChildAttributesRequest, reply: AttributesReply): Buffer;
  attributesUpdate(name: string, json: string): Buffer;
  rpcRequest(name: string, request: RpcRequest): Buffer;
  /** Why the gateway is told that a device's message was not taken: 150 rate, 128 unspecified. */
  disconnected(name: string, reason: number): Buffer;
}
