import type { ChildPart, GatewayCodec } from "../gateway.ts";
import { checkedName, wrongShape } from "../gateway-json.ts";
import { attributesReplyOf, claimText } from "./fixed-codec.ts";
import { objectText, telemetryText, updateOf } from "./key-values.ts";
import { fixed } from "./messages.ts";
import { decode, encode, type Message } from "./wire.ts";

/** The fixed messages of gateways whose own profile says Protobuf (device-api 2.13). */
export const fixedGatewayCodec: GatewayCodec = {
  connect(payload) {
    const { deviceName, deviceType } = decode(fixed("GatewayConnect"), payload);
    return { name: checkedName(deviceName), ...(deviceType === "" ? {} : { type: deviceType as string }) };
  },
  disconnect: (payload) => checkedName(decode(fixed("GatewayDisconnect"), payload)["deviceName"]),
  telemetry: (payload) => parts("GatewayTelemetry", payload, ({ msg }) => telemetryText(msg ?? { tsKvList: [] })),
  attributes: (payload) => parts("GatewayAttributes", payload, ({ msg }) => objectText(msg?.kv ?? [])),
  claims: (payload) =>
    parts("GatewayClaim", payload, ({ claimRequest }) => (claimRequest ? claimText(claimRequest) : "{}")),
  attributesRequest(payload) {
    const { id, deviceName, client, keys } = decode(fixed("GatewayAttributesRequest"), payload);
    return { id, name: checkedName(deviceName), client, keys };
  },
  rpcReply(payload) {
    const { deviceName, id, data } = decode(fixed("GatewayRpcResponse"), payload);
    return { name: checkedName(deviceName), id, reply: Buffer.from(data as string) };
  },
  attributesReply: ({ id, name, keys }, reply) =>
    encode(fixed("GatewayAttributeResponse"), {
      deviceName: name,
      responseMsg: { ...attributesReplyOf(id, reply), isMultipleAttributesRequest: keys.length > 1 },
    }),
  attributesUpdate: (name, json) =>
    encode(fixed("GatewayAttributeUpdate"), { deviceName: name, notificationMsg: updateOf(json) }),
  rpcRequest: (name, { requestId, method, params, oneway }) =>
    encode(fixed("GatewayRpcRequest"), {
      deviceName: name,
      rpcRequestMsg: { requestId, methodName: method, params, oneway },
    }),
  disconnected: (name, reason) => encode(fixed("GatewayDisconnectDevice"), { deviceName: name, reason }),
};

function parts(type: string, payload: Uint8Array, textOf: (item: Message) => string): ChildPart[] {
  const items = decode(fixed(type), payload)["msg"] as readonly Message[];
  if (items.length === 0 && payload.length > 0) throw wrongShape("no device is named");
  return items.map((item) => ({ name: checkedName(item["deviceName"]), document: Buffer.from(textOf(item)) }));
}
