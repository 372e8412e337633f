import type { CallOptions } from "../kernel/call.ts";
import type { Lanes } from "../kernel/lanes.ts";
import type { World } from "../kernel/world.ts";
import type { EntityId } from "../model/entity.ts";
import { publishRuleEvent } from "./rules.ts";

/** Who did it, as rule messages name them. */
export interface Doer {
  readonly userId: string;
  readonly email: string;
}

export interface EntityEvent {
  readonly tenantId: string;
  readonly customerId?: string | null | undefined;
  /** ENTITY_CREATED, ATTRIBUTES_UPDATED, … (rule-engine 1.3). */
  readonly type: string;
  readonly originator: EntityId;
  readonly entityName?: string | undefined;
  readonly ruleChainId?: string | null | undefined;
  readonly by?: Doer | undefined;
  readonly metadata?: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly data: string;
}

/** Tells the tenant's rule chains what a user did to an entity; resolves when the durable lane has it. */
export function publishEntityEvent(
  to: { readonly lanes: Lanes; readonly world: World },
  event: EntityEvent,
  call: CallOptions,
): Promise<void> {
  const { tenantId, type, originator, customerId, ruleChainId, by, data } = event;
  const metadata = {
    ...(by === undefined ? {} : { userId: by.userId, userName: by.email, userEmail: by.email }),
    ...(event.entityName === undefined ? {} : { entityName: event.entityName, entityType: originator.entityType }),
    ...event.metadata,
  };
  const optional = {
    ...(customerId === undefined || customerId === null ? {} : { customerId }),
    ...(ruleChainId === undefined || ruleChainId === null ? {} : { ruleChainId }),
  };
  return publishRuleEvent(to, { tenantId, type, originator, metadata, data, ...optional }, call);
}
