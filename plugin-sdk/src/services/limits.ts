import { Fault } from "../fault.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { EntityStore } from "../spi/entities.ts";
import { tenantCollection, tenantProfileCollection } from "./documents.ts";

/** Fault `registry.limit` when the tenant's profile allows no further entity (rest-semantics 4.8); 0 is no limit. */
export async function checkEntityLimit(
  entities: EntityStore,
  what: {
    readonly tenantId: string;
    readonly entityType: string;
    /** Name of the limit in the profile, such as `maxDevices`. */
    readonly limit: string;
    /** Begins the message, such as `Devices`. */
    readonly label: string;
    count(): Promise<number>;
  },
  call: CallOptions,
): Promise<void> {
  const [tenant] = await entities.collection(tenantCollection).get([what.tenantId], call);
  if (tenant === undefined) return;
  const [profile] = await entities.collection(tenantProfileCollection).get([tenant.value.tenantProfileId], call);
  const configuration = profile?.value.profileData["configuration"] as Readonly<Record<string, unknown>> | undefined;
  const limit = Number(configuration?.[what.limit] ?? 0);
  if (limit <= 0 || (await what.count()) < limit) return;
  const data = { entityType: what.entityType, limit };
  throw new Fault("denied", "registry.limit", `${what.label} limit reached`, { data });
}
