import {
  type CallOptions,
  type DeviceDocument,
  deviceCollection,
  type EntityId,
  type EntityStore,
  type Principal,
} from "@heddle/plugin-sdk";

/** The tenant whose entity it is, when the caller may read its telemetry; undefined when not (rest-semantics 3.4). */
export async function readableTenant(
  entities: EntityStore,
  at: { readonly principal: Principal; readonly entity: EntityId },
  call: CallOptions,
): Promise<string | undefined> {
  const { principal, entity } = at;
  if (entity.entityType === "TENANT") {
    const own = principal.authority === "TENANT_ADMIN" && entity.id === principal.tenantId;
    return own || principal.authority === "SYS_ADMIN" ? entity.id : undefined;
  }
  if (entity.entityType !== "DEVICE" || principal.authority === "SYS_ADMIN") return undefined;
  const [device] = await entities.collection<DeviceDocument>(deviceCollection).get([entity.id], call);
  if (device?.value.tenantId !== principal.tenantId) return undefined;
  const foreign = principal.authority === "CUSTOMER_USER" && device.value.customerId !== principal.customerId;
  return foreign ? undefined : principal.tenantId;
}
