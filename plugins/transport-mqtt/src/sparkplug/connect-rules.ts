import { readSparkplugTopic, type SparkplugTopic } from "@heddle/payload-codec";
import type { DeviceIdentity } from "@heddle/plugin-sdk";
import type { IConnectPacket } from "mqtt-packet";

/** The profile speaks Sparkplug B (device-api 2.14). */
export function isSparkplug({ transportType, transport }: DeviceIdentity): boolean {
  return transportType === "MQTT" && transport["sparkplug"] === true;
}

/** The death certificate that the CONNECT of an edge node must carry; undefined when it breaks a rule. */
export function deathOf(
  packet: IConnectPacket,
): { readonly topic: SparkplugTopic; readonly payload: Buffer } | undefined {
  const { will, clean, protocolVersion, properties } = packet;
  if (will === undefined || will.qos !== 1 || will.retain || clean !== true) return undefined;
  // In version 5 the session's end has to be said (device-api corrections, SPB-02).
  if (protocolVersion === 5 && properties?.sessionExpiryInterval !== 0) return undefined;
  const topic = readSparkplugTopic(will.topic);
  return topic?.type === "NDEATH" ? { topic, payload: Buffer.from(will.payload) } : undefined;
}
