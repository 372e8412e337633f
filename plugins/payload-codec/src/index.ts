export type { PayloadCodec } from "./codec.ts";
export { compact, malformed, membersOf, readDocument, readText, scalarText, textOf } from "./document.ts";
export type { ChildAttributesRequest, ChildPart, GatewayCodec, Latency } from "./gateway.ts";
export { jsonGatewayCodec, wrongShape } from "./gateway-json.ts";
export { jsonCodec } from "./json-codec.ts";
export { type Node, readLenientJson } from "./lenient-json.ts";
export { fixedCodec } from "./protobuf/fixed-codec.ts";
export { fixedGatewayCodec } from "./protobuf/gateway-codec.ts";
export { schemasOf } from "./protobuf/profile-codec.ts";
export { provisionReplyBytes, provisionRequestText } from "./provisioning.ts";
export { codecsOf, type DeviceCodecs, payloadSettings } from "./select.ts";
export {
  readSparkplug,
  readSparkplugTopic,
  type SparkplugMetric,
  type SparkplugPayload,
  type SparkplugTopic,
  writeSparkplug,
} from "./sparkplug.ts";
