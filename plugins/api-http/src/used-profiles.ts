import type { CallOptions, DeviceProfileDocument, DeviceRegistry, Stored } from "@heddle/plugin-sdk";

/** Profiles of one tenant that are looked at. */
const most = 1_000;

/** Every profile of the tenant, by name. */
export async function allProfiles(
  registry: DeviceRegistry,
  tenantId: string,
  call: CallOptions,
): Promise<readonly Stored<DeviceProfileDocument>[]> {
  const query = { where: { tenantId }, sort: { by: "name", order: "asc" as const }, limit: most };
  return (await registry.profiles.find(query, call)).items;
}

/** Those that have devices. */
export async function usedProfiles(
  registry: DeviceRegistry,
  tenantId: string,
  call: CallOptions,
): Promise<readonly Stored<DeviceProfileDocument>[]> {
  const profiles = await allProfiles(registry, tenantId, call);
  const used = await Promise.all(
    profiles.map(({ value }) => registry.devices.find({ where: { deviceProfileId: value.id }, limit: 1 }, call)),
  );
  return profiles.filter((_, at) => (used[at]?.total ?? 0) > 0);
}
