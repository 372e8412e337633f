import { capability, extensionPoint } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { EntityId } from "../model/entity.ts";
import type { Stored } from "../spi/entities.ts";
import type { TenantDocument } from "./documents.ts";
import type { Doer } from "./entity-events.ts";
import type { Draft } from "./records.ts";

/** An entity that is being deleted. */
export interface Removal {
  readonly tenantId: string;
  readonly entity: EntityId;
  readonly by?: Doer;
}

/** Who keeps data of entities contributes one: it is asked when an entity is deleted. Both verbs may be called again. */
export interface EntityData {
  /** Takes away at once what later reads would show. */
  hide(what: Removal, call: CallOptions): Promise<void>;
  /** Drops everything else. Runs in the background, after every `hide`, until it has succeeded once. */
  forget(what: Removal, call: CallOptions): Promise<void>;
}
export const EntityData = extensionPoint<EntityData>("entity-data@1");

/** Beginning and end of entities that several plugins keep data of. */
export interface Lifecycle {
  /** With root rule chain and default device profile; a read that follows finds them. */
  createTenant(draft: Draft<TenantDocument>, call: CallOptions): Promise<Stored<TenantDocument>>;
  /** Resolves when no later read shows the entity; its data follows in the background, even after a crash. */
  remove(what: Removal, call: CallOptions): Promise<void>;
}
export const Lifecycle = capability<Lifecycle>("lifecycle@1");
