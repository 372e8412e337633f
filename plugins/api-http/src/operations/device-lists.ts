import { deviceView, invalid, type Static, Type } from "@heddle/plugin-sdk";
import { customerFor, deviceFor } from "../access.ts";
import { findInfos, infosOf, infoView } from "../device-info.ts";
import {
  type Exchange,
  listOf,
  nothingFound,
  type Operation,
  operation,
  tenantAndCustomer,
  tenantOnly,
  uuidOf,
} from "../operation.ts";
import { MaybePageFields, PageFields, pageOf, pageView, viewPage } from "../paging.ts";
import type { Services } from "../services.ts";
import { usedProfiles } from "../used-profiles.ts";
import { packageType } from "./ota-packages.ts";

const columns = { createdTime: "createdTime", name: "name", type: "type", label: "label" };
const rules = { search: ["name", "label"], sort: columns };
const infoRules = {
  search: ["name", "label", "type"],
  sort: { ...columns, deviceProfileName: "type", customerTitle: "customerTitle" },
};
const type = { type: Type.Optional(Type.String()) };
const ListQuery = Type.Object({ ...PageFields, ...type });
const InfosQuery = Type.Object({
  ...PageFields,
  ...type,
  deviceProfileId: Type.Optional(Type.String()),
  active: Type.Optional(Type.Boolean()),
});

/** Several devices (rest-semantics 5, 15.1). */
export function deviceListOperations(services: Services): Operation[] {
  const { registry } = services;
  const byName = async ({ principal: { tenantId }, call }: Exchange, name: string) => {
    const { items } = await registry.devices.find({ where: { tenantId, name }, limit: 1 }, call);
    const [device] = items;
    if (device === undefined) throw nothingFound();
    return { json: deviceView(device) };
  };
  const list = async (
    where: Record<string, string>,
    query: Parameters<typeof pageOf>[0] & { type?: string },
    call: { signal: AbortSignal },
  ) => {
    const page = pageOf(query, rules);
    const typed = query.type === undefined || query.type === "" ? where : { ...where, type: query.type };
    return { json: viewPage(await registry.devices.find({ ...page, where: typed }, call), page, deviceView) };
  };
  const infos = async (
    where: Record<string, string>,
    query: Static<typeof InfosQuery>,
    call: { signal: AbortSignal },
  ) => {
    const page = pageOf(query, infoRules);
    const { type: name, deviceProfileId, active } = query;
    const narrowed = {
      ...where,
      ...(name === undefined || name === "" ? {} : { type: name }),
      ...(deviceProfileId === undefined || deviceProfileId === "" ? {} : { deviceProfileId: uuidOf(deviceProfileId) }),
    };
    const found = await findInfos(services, { where: narrowed, page, text: page.search?.text, active }, call);
    return { json: pageView({ items: found.items.map(infoView), total: found.total }, page) };
  };
  const customerOf = async ({ principal, id, call }: Exchange) => {
    const customer = await customerFor(services, { principal, id: id("customerId"), wanted: "read" }, call);
    return { tenantId: principal.tenantId, customerId: customer.value.id };
  };
  return [
    operation({
      method: "GET",
      path: "/api/device/info/:deviceId",
      who: tenantAndCustomer,
      run: async ({ principal, id, call }) => {
        const device = await deviceFor(services, { principal, id: id("deviceId"), wanted: "read" }, call);
        const [info] = await infosOf(services, [device], call);
        return info === undefined ? undefined : { json: infoView(info) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenant/device",
      who: tenantOnly,
      query: Type.Object({ deviceName: Type.String() }),
      run: (exchange) => byName(exchange, exchange.query.deviceName),
    }),
    operation({
      method: "GET",
      path: "/api/tenant/devices",
      who: tenantOnly,
      query: Type.Object({ ...MaybePageFields, ...type, deviceName: Type.Optional(Type.String()) }),
      run: (exchange) => {
        const { principal, query, call } = exchange;
        if (query.deviceName !== undefined && query.pageSize === undefined) return byName(exchange, query.deviceName);
        return list({ tenantId: principal.tenantId }, query, call);
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenant/deviceInfos",
      who: tenantOnly,
      query: InfosQuery,
      run: ({ principal, query, call }) => infos({ tenantId: principal.tenantId }, query, call),
    }),
    operation({
      method: "GET",
      path: "/api/customer/:customerId/devices",
      who: tenantAndCustomer,
      query: ListQuery,
      run: async (exchange) => list(await customerOf(exchange), exchange.query, exchange.call),
    }),
    operation({
      method: "GET",
      path: "/api/customer/:customerId/deviceInfos",
      who: tenantAndCustomer,
      query: InfosQuery,
      run: async (exchange) => infos(await customerOf(exchange), exchange.query, exchange.call),
    }),
    operation({
      method: "GET",
      path: "/api/devices",
      who: tenantAndCustomer,
      query: Type.Object({ deviceIds: Type.Union([Type.String(), Type.Array(Type.String())]) }),
      run: async ({ principal, query, call }) => {
        const ids = listOf(query.deviceIds).map(uuidOf);
        if (ids.length === 0) throw invalid("Parameter 'deviceIds' can't be empty!");
        const found = await registry.devices.many(ids, call);
        const { tenantId, customerId, authority } = principal;
        const mine = found.filter(
          ({ value }) =>
            value.tenantId === tenantId && (authority === "TENANT_ADMIN" || value.customerId === customerId),
        );
        return { json: mine.map(deviceView) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/devices/count/:type/:deviceProfileId",
      who: tenantAndCustomer,
      run: async ({ principal: { tenantId }, id, param, call }) => {
        const field = packageType(param("type")) === "FIRMWARE" ? "firmwareId" : "softwareId";
        const where = { tenantId, deviceProfileId: id("deviceProfileId"), [field]: null };
        return { json: (await registry.devices.find({ where, limit: 1 }, call)).total };
      },
    }),
    operation({
      method: "GET",
      path: "/api/device/types",
      who: tenantAndCustomer,
      run: async ({ principal: { tenantId }, call }) => {
        const profiles = await usedProfiles(registry, tenantId, call);
        const types = profiles.map(({ value: { name } }) => ({
          tenantId: { entityType: "TENANT", id: tenantId },
          entityType: "DEVICE",
          type: name,
        }));
        return { json: types };
      },
    }),
  ];
}
