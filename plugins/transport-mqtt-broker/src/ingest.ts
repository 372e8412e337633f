import {
  type CallOptions,
  encodeRuleHead,
  encodeRuleRecord,
  entityKey,
  type Lanes,
  ruleLane,
  type World,
} from "@heddle/plugin-sdk";
import type { Published } from "./tenant-broker.ts";

/** The type of rule messages that applications send; a chain's type switch gives it along `Other`. */
export const messageType = "APPLICATION_MESSAGE";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Hands a message of an application to its tenant's rule chain: originator is the tenant, `metadata.topic` where it was
 * published; data is its JSON, else its text, else BINARY with the bytes in base64. Resolves when the durable lane has it.
 */
export function ingest(
  { lanes, world }: { readonly lanes: Lanes; readonly world: World },
  { tenantId, application, topic, payload, qos }: Published & { readonly tenantId: string },
  call: CallOptions,
): Promise<void> {
  const originator = { entityType: "TENANT", id: tenantId };
  const { dataType, bytes } = readPayload(payload);
  const metadata = { topic, qos: String(qos), applicationId: application.id, applicationName: application.name };
  const head = encodeRuleHead({ type: messageType, originator, tenantId, metadata, dataType });
  const record = encodeRuleRecord(head, { bytes, typed: true, ts: world.now(), stampTs: true });
  return lanes.publish(ruleLane, entityKey(tenantId, originator), record, call);
}

function readPayload(payload: Buffer): { readonly dataType: "JSON" | "TEXT" | "BINARY"; readonly bytes: Uint8Array } {
  let text: string;
  try {
    text = utf8.decode(payload);
  } catch {
    // Not a text: bytes.
    return { dataType: "BINARY", bytes: Buffer.from(payload.toString("base64")) };
  }
  try {
    JSON.parse(text);
    return { dataType: "JSON", bytes: payload };
  } catch {
    // Not JSON: a text.
    return { dataType: "TEXT", bytes: payload };
  }
}
