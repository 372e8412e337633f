import { Fault } from "../fault.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { EntityStore } from "../spi/entities.ts";
import { tenantCollection, tenantProfileCollection } from "./documents.ts";

/** A limit of the tenant's profile by its name there, such as `maxDevices`; infinite where there is none. */
export async function tenantLimit(
  entities: EntityStore,
  { tenantId, limit }: { readonly tenantId: string; readonly limit: string },
  call: CallOptions,
): Promise<number> {
  const [tenant] = await entities.collection(tenantCollection).get([tenantId], call);
  if (tenant === undefined) return Number.POSITIVE_INFINITY;
  const [profile] = await entities.collection(tenantProfileCollection).get([tenant.value.tenantProfileId], call);
  const configuration = profile?.value.profileData["configuration"] as Readonly<Record<string, unknown>> | undefined;
  const value = Number(configuration?.[limit] ?? 0);
  return value > 0 ? value : Number.POSITIVE_INFINITY;
}

/** Fault `registry.limit` when the tenant's profile allows no further entity (rest-semantics 4.8); 0 is no limit. */
export async function checkEntityLimit(
  entities: EntityStore,
  what: {
    readonly tenantId: string;
    readonly entityType: string;
    readonly limit: string;
    /** Begins the message, such as `Devices`. */
    readonly label: string;
    count(): Promise<number>;
  },
  call: CallOptions,
): Promise<void> {
  const limit = await tenantLimit(entities, what, call);
  if (limit === Number.POSITIVE_INFINITY || (await what.count()) < limit) return;
  const data = { entityType: what.entityType, limit };
  throw new Fault("denied", "registry.limit", `${what.label} limit reached`, { data });
}
