import type { PayloadCodec } from "../codec.ts";
import { compact, malformed, readText } from "../document.ts";
import { wantedAttributes } from "../json-codec.ts";
import { objectText, telemetryText, tsKvsOf, updateOf } from "./key-values.ts";
import { fixed } from "./messages.ts";
import { decode, encode, integerText } from "./wire.ts";

const text = (json: string) => Buffer.from(json);

/** The fixed messages: the short topics ending in `/p`, and what a profile has no schema for (device-api 2.13). */
export const fixedCodec: PayloadCodec = {
  encoding: "protobuf",
  telemetry: (payload) => text(telemetryText(decode(fixed("PostTelemetry"), payload))),
  attributes: (payload) => text(objectText(decode(fixed("PostAttribute"), payload)["kv"])),
  attributesRequest(payload) {
    const message = decode(fixed("AttributesRequest"), payload);
    return wantedAttributes((name) => (Object.hasOwn(message, name) ? (message[name] as string) : undefined));
  },
  clientRpc(payload) {
    const message = decode(fixed("RpcRequest"), payload);
    if (!Object.hasOwn(message, "method")) throw malformed("an rpc request has a `method`");
    const params = compact(readText(message["params"]));
    return text(`{"method":${JSON.stringify(message["method"])},"params":${params}}`);
  },
  rpcReply: (payload) => text(decode(fixed("RpcResponse"), payload)["payload"]),
  claim: (payload) => text(claimText(decode(fixed("ClaimDevice"), payload))),
  attributesReply: (requestId, reply) => encode(fixed("GetAttributeResponse"), attributesReplyOf(requestId, reply)),
  attributesUpdate: (json) => encode(fixed("AttributeUpdateNotification"), updateOf(json)),
  rpcRequest: ({ requestId, method, params, oneway }) =>
    encode(fixed("ToDeviceRpcRequest"), { requestId, methodName: method, params, oneway }),
  clientRpcReply: (requestId, json) => encode(fixed("ToServerRpcResponse"), { requestId, payload: json }),
};

export function attributesReplyOf(requestId: number, reply: { readonly client?: string; readonly shared?: string }) {
  return {
    requestId,
    clientAttributeList: tsKvsOf(reply.client),
    sharedAttributeList: tsKvsOf(reply.shared),
  };
}

/** Absent members of a claim stay absent: an empty key and no duration are what the platform assumes. */
export function claimText({ secretKey, durationMs }: Readonly<Record<string, unknown>>): string {
  const duration = integerText(durationMs);
  return `{"secretKey":${JSON.stringify(secretKey)}${duration === "0" ? "" : `,"durationMs":${duration}`}}`;
}
