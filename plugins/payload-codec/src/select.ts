import type { DeviceIdentity } from "@heddle/plugin-sdk";
import type { PayloadCodec } from "./codec.ts";
import type { GatewayCodec } from "./gateway.ts";
import { jsonGatewayCodec } from "./gateway-json.ts";
import { jsonCodec } from "./json-codec.ts";
import { fixedGatewayCodec } from "./protobuf/gateway-codec.ts";
import { orElseJson, type PayloadSettings, profileCodec } from "./protobuf/profile-codec.ts";

/** How a device's payloads are encoded where its topic does not say so. */
export interface DeviceCodecs {
  /** For the devices behind it, if it is a gateway: its own profile decides, not theirs. */
  readonly gateway: GatewayCodec;
  /** What the profile says. */
  readonly profile: PayloadCodec;
  /** For what goes down on the long topics, which may stay JSON (device-api 2.12). */
  readonly longTopicsDown: PayloadCodec;
}

const plain: DeviceCodecs = { profile: jsonCodec, longTopicsDown: jsonCodec, gateway: jsonGatewayCodec };
/** Identities of one profile share its configuration object. */
const made = new WeakMap<object, DeviceCodecs>();

/** By the profile of the device. Fault `input.invalid` for a stored schema that cannot be used. */
export function codecsOf({ transport, transportType }: DeviceIdentity): DeviceCodecs {
  if (transportType !== "MQTT" && transportType !== "COAP") return plain;
  let codecs = made.get(transport);
  if (codecs === undefined) {
    codecs = codecsFor(payloadSettings(transport), transportType);
    made.set(transport, codecs);
  }
  return codecs;
}

/** `transportPayloadTypeConfiguration`, wherever the kind of profile keeps it. */
export function payloadSettings(transport: Readonly<Record<string, unknown>>): PayloadSettings | undefined {
  const coap = transport["coapDeviceTypeConfiguration"] as Readonly<Record<string, unknown>> | null | undefined;
  const found = (coap ?? transport)["transportPayloadTypeConfiguration"] as PayloadSettings | null | undefined;
  return found?.["transportPayloadType"] === "PROTOBUF" ? found : undefined;
}

function codecsFor(settings: PayloadSettings | undefined, transportType: "MQTT" | "COAP"): DeviceCodecs {
  if (settings === undefined) return plain;
  const protobuf = profileCodec(settings);
  // Over CoAP a payload is what the profile says and nothing else (device-api 4.5).
  const jsonToo = transportType === "MQTT" && settings["enableCompatibilityWithJsonPayloadFormat"] === true;
  if (!jsonToo) return { profile: protobuf, longTopicsDown: protobuf, gateway: fixedGatewayCodec };
  const profile = orElseJson(protobuf);
  const jsonDown = settings["useJsonPayloadFormatForDefaultDownlinkTopics"] === true;
  return { profile, longTopicsDown: jsonDown ? jsonCodec : profile, gateway: fixedGatewayCodec };
}
