import type { AttributesReply, AttributesWanted, RpcRequest } from "@heddle/plugin-sdk";

/**
 * What devices write and read, in one encoding. Reading gives the JSON text that `Session` takes, so that values get their
 * types in one place (device-api 0.3); a payload that cannot be read is fault `device.payload`.
 */
export interface PayloadCodec {
  readonly encoding: "json" | "protobuf";
  telemetry(payload: Uint8Array): Uint8Array;
  attributes(payload: Uint8Array): Uint8Array;
  attributesRequest(payload: Uint8Array): AttributesWanted;
  /** `{"method", "params"}`. */
  clientRpc(payload: Uint8Array): Uint8Array;
  /** The answer to a call, as text. */
  rpcReply(payload: Uint8Array): Uint8Array;
  /** `{"secretKey", "durationMs"}`, or nothing. */
  claim(payload: Uint8Array): Uint8Array;
  attributesReply(requestId: number, reply: AttributesReply): Buffer;
  /** `json`: the changed values, or `{"deleted":[keys]}`. */
  attributesUpdate(json: string): Buffer;
  /** `withId`: where no topic carries the request's id. */
  rpcRequest(request: RpcRequest, withId?: "withId"): Buffer;
  /** The answer to the device's own call. */
  clientRpcReply(requestId: number, json: string): Buffer;
}
