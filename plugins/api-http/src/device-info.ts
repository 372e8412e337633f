import {
  type CallOptions,
  type CustomerDocument,
  type DeviceDocument,
  type DeviceProfileDocument,
  deviceView,
  Fault,
  type Query,
  type Stored,
} from "@heddle/plugin-sdk";
import type { Services } from "./services.ts";

/** Devices looked through for a list whose filter or order is not the device's own. */
const mostScanned = 50_000;
const batch = 1_000;

export interface DeviceInfo {
  readonly device: Stored<DeviceDocument>;
  readonly customerTitle: string | null;
  readonly customerIsPublic: boolean;
  readonly profileName: string | null;
  readonly active: boolean;
}

export interface InfoQuery {
  readonly where: NonNullable<Query["where"]>;
  readonly page: Omit<Query, "where"> & { readonly page: number };
  readonly text: string | undefined;
  readonly active: boolean | undefined;
}

/** The device with what belongs to others: customer, profile, activity (rest-semantics 15.1). */
export function infoView({ device, customerTitle, customerIsPublic, profileName, active }: DeviceInfo) {
  const { additionalInfo, deviceData, ...head } = deviceView(device);
  return {
    ...head,
    customerTitle,
    customerIsPublic,
    deviceProfileName: profileName,
    active,
    additionalInfo,
    deviceData,
  };
}

type Parts = Pick<Services, "registry" | "directory" | "attributes">;

export async function infosOf(
  services: Parts,
  devices: readonly Stored<DeviceDocument>[],
  call: CallOptions,
): Promise<DeviceInfo[]> {
  const { registry, directory, attributes } = services;
  const ids = (of: (device: DeviceDocument) => string | null) => [
    ...new Set(devices.map(({ value }) => of(value)).filter((id) => id !== null)),
  ];
  const [customers, profiles, activity] = await Promise.all([
    directory.customers.many(
      ids(({ customerId }) => customerId),
      call,
    ),
    registry.profiles.many(
      ids(({ deviceProfileId }) => deviceProfileId),
      call,
    ),
    Promise.all(
      devices.map(({ value: { id } }) =>
        attributes.get({ entityType: "DEVICE", id }, "SERVER_SCOPE", ["active"], call),
      ),
    ),
  ]);
  const customerById = new Map<string, CustomerDocument>(customers.map(({ value }) => [value.id, value]));
  const profileById = new Map<string, DeviceProfileDocument>(profiles.map(({ value }) => [value.id, value]));
  return devices.map((device, at) => {
    const customer = customerById.get(device.value.customerId ?? "");
    return {
      device,
      customerTitle: customer?.title ?? null,
      customerIsPublic: customer?.additionalInfo?.["isPublic"] === true,
      profileName: profileById.get(device.value.deviceProfileId)?.name ?? null,
      active: activity[at]?.[0]?.value === true,
    };
  });
}

/** A page of infos. What the store cannot filter or sort by is done here, over a bounded number of devices. */
export async function findInfos(
  services: Parts,
  { where, page, text, active }: InfoQuery,
  call: CallOptions,
): Promise<{ readonly items: readonly DeviceInfo[]; readonly total: number }> {
  const byCustomer = page.sort?.by === "customerTitle";
  if (text === undefined && active === undefined && !byCustomer) {
    const found = await services.registry.devices.find({ ...page, where }, call);
    return { items: await infosOf(services, found.items, call), total: found.total };
  }
  const sort = byCustomer || page.sort === undefined ? undefined : page.sort;
  const all: DeviceInfo[] = [];
  for (let at = 0; ; at++) {
    const query = { where, limit: batch, page: at, ...(sort === undefined ? {} : { sort }) };
    const found = await services.registry.devices.find(query, call);
    if (found.total > mostScanned) {
      throw new Fault(
        "invalid",
        "api.scan",
        `${found.total} devices match; at most ${mostScanned} can be searched this way`,
      );
    }
    const infos = await infosOf(services, found.items, call);
    all.push(...infos.filter((info) => matches(info, text, active)));
    if ((at + 1) * batch >= found.total) break;
  }
  if (byCustomer) all.sort((a, b) => (a.customerTitle ?? "").localeCompare(b.customerTitle ?? ""));
  if (byCustomer && page.sort?.order === "desc") all.reverse();
  const start = page.page * page.limit;
  return { items: all.slice(start, start + page.limit), total: all.length };
}

function matches(
  { device, customerTitle, active }: DeviceInfo,
  text: string | undefined,
  wanted: boolean | undefined,
): boolean {
  if (wanted !== undefined && active !== wanted) return false;
  if (text === undefined) return true;
  const { name, label, type } = device.value;
  const part = text.toLowerCase();
  return [name, label, type, customerTitle].some((column) => column?.toLowerCase().includes(part) === true);
}
