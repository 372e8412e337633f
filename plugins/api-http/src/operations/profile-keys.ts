import { type CallOptions, type EntityId, scopes, Type } from "@heddle/plugin-sdk";
import { profileFor } from "../access.ts";
import { type Exchange, type Operation, operation, tenantOnly, uuidOf } from "../operation.ts";
import type { Services } from "../services.ts";

/** Devices whose keys are looked at; the newest ones. */
const mostDevices = 100;

/** Keys that devices of a profile, or of the tenant, have reported. */
export function profileKeyOperations(services: Services): Operation[] {
  const { registry, series, attributes } = services;
  const seriesKeys = async (entity: EntityId, call: CallOptions) =>
    (await series.latest(entity, "all", call)).map(({ key }) => key);
  const attributeKeys = async (entity: EntityId, call: CallOptions) => {
    const all = await Promise.all(scopes.map((scope) => attributes.get(entity, scope, "all", call)));
    return all.flat().map(({ key }) => key);
  };
  const keys = (kind: string, keysOf: typeof seriesKeys) =>
    operation({
      method: "GET",
      path: `/api/deviceProfile/devices/keys/${kind}`,
      who: tenantOnly,
      query: Type.Object({ deviceProfileId: Type.Optional(Type.String()) }),
      run: async (exchange) => {
        const where = await scopeOf(services, exchange);
        const query = { where, sort: { by: "createdTime", order: "desc" as const }, limit: mostDevices };
        const { items } = await registry.devices.find(query, exchange.call);
        const found = await Promise.all(
          items.map(({ value: { id } }) => keysOf({ entityType: "DEVICE", id }, exchange.call)),
        );
        return { json: [...new Set(found.flat())].sort() };
      },
    });
  return [keys("timeseries", seriesKeys), keys("attributes", attributeKeys)];
}

async function scopeOf(
  services: Services,
  { principal, query, call }: Exchange<unknown, { readonly deviceProfileId?: string }>,
): Promise<Record<string, string>> {
  const { deviceProfileId } = query;
  if (deviceProfileId === undefined || deviceProfileId === "") return { tenantId: principal.tenantId };
  const profile = await profileFor(services, { principal, id: uuidOf(deviceProfileId) }, call);
  return { deviceProfileId: profile.value.id };
}
