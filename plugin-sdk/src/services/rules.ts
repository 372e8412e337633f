import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { Lanes } from "../kernel/lanes.ts";
import type { World } from "../kernel/world.ts";
import { type EntityId, entityKey } from "../model/entity.ts";
import { ruleLane } from "./rule-lane.ts";
import { encodeRuleHead, encodeRuleRecord } from "./rule-record.ts";

/** What happens to tenants' rule chains. */
export interface Rules {
  /** Makes the root chain of a new tenant (rule-engine 8.1); resolves with its id. Idempotent. */
  createRootChain(tenantId: string, call: CallOptions): Promise<string>;
  /** The tenant's chains start, restart or end on every node as the store now says. */
  changed(tenantId: string, call: CallOptions): Promise<void>;
}
export const Rules = capability<Rules>("rules@1");

/** An entity message for the rule engine, such as ENTITY_CREATED or ATTRIBUTES_UPDATED (rule-engine 1.3). */
export interface RuleEvent {
  readonly tenantId: string;
  readonly customerId?: string;
  readonly type: string;
  readonly originator: EntityId;
  readonly metadata: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly data: string;
  readonly ruleChainId?: string;
}

/** Hands an event to the rule engine; resolves when the durable lane has it. */
export function publishRuleEvent(
  to: { readonly lanes: Lanes; readonly world: World },
  event: RuleEvent,
  call: CallOptions,
): Promise<void> {
  return to.lanes.publish(ruleLane, entityKey(event.tenantId, event.originator), recordOf(event, to.world), call);
}

/** Runs an event through its rule chain at once, without storing it; resolves when the chain is done with it. */
export function passRuleEvent(
  to: { readonly lanes: Lanes; readonly world: World },
  event: RuleEvent,
  call: CallOptions,
): Promise<void> {
  return to.lanes.pass(ruleLane, entityKey(event.tenantId, event.originator), recordOf(event, to.world), call);
}

function recordOf({ data, ...head }: RuleEvent, world: World): Uint8Array {
  const body = { bytes: Buffer.from(data), typed: true, ts: world.now(), stampTs: false, id: world.uuid() };
  return encodeRuleRecord(encodeRuleHead(head), body);
}
