import {
  type CallOptions,
  type DeviceDocument,
  deviceCollection,
  type EntityId,
  type EntityStore,
  type Principal,
} from "@heddle/plugin-sdk";

/** The tenant of a readable entity, or why there is none to read (rest-semantics 3.4). */
export type Access = { readonly tenantId: string } | "unknown" | "denied";

export async function accessTo(
  entities: EntityStore,
  at: { readonly principal: Principal; readonly entity: EntityId },
  call: CallOptions,
): Promise<Access> {
  const { principal, entity } = at;
  if (entity.entityType === "TENANT") {
    const own = principal.authority === "TENANT_ADMIN" && entity.id === principal.tenantId;
    return own || principal.authority === "SYS_ADMIN" ? { tenantId: entity.id } : "denied";
  }
  if (entity.entityType !== "DEVICE" || principal.authority === "SYS_ADMIN") return "denied";
  const [device] = await entities.collection<DeviceDocument>(deviceCollection).get([entity.id], call);
  if (device === undefined) return "unknown";
  const { tenantId, customerId } = device.value;
  const foreign = principal.authority === "CUSTOMER_USER" && customerId !== principal.customerId;
  return tenantId !== principal.tenantId || foreign ? "denied" : { tenantId };
}
