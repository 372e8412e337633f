import { decodeRuleRecord, type LaneHandler, type Lanes, ruleLane } from "@heddle/plugin-sdk";
import type { Brokers } from "./brokers.ts";
import { messageText } from "./device-texts.ts";
import { deviceTopic } from "./topics.ts";

export interface DeviceFeedDeps {
  readonly lanes: Lanes;
  readonly brokers: Brokers;
  /** Since when the tenant has applications, ms since the epoch; undefined when it has none. */
  servedSince(tenantId: string): number | undefined;
}

const tenantChars = 36;

/**
 * What devices send, from the durable lane to the topics of their tenant: a group of its own beside the rule engine's, so
 * that slow applications hold up nobody else. A tenant without applications costs a look into a map.
 */
export function feedDevices({ lanes, brokers, servedSince }: DeviceFeedDeps): AsyncDisposable {
  const handle: LaneHandler = (key, body, turn) => {
    const tenantId = key.slice(0, tenantChars);
    const since = servedSince(tenantId);
    if (since === undefined || turn.sentAt < since || !(body instanceof Uint8Array)) return undefined;
    const msg = decodeRuleRecord(body);
    if (msg.originator.entityType !== "DEVICE") return undefined;
    const { what, text } = messageText(msg);
    const topic = deviceTopic(tenantId, msg.originator.id, what);
    return brokers.of(tenantId, turn).then((broker) => broker.enter(topic, Buffer.from(text)));
  };
  return lanes.consume(ruleLane, "applications", handle);
}
