import { type DeviceProfileDocument, type Draft, deviceProfileView, type Query, Type } from "@heddle/plugin-sdk";
import { profileFor } from "../access.ts";
import { listOf, type Operation, operation, tenantAndCustomer, tenantOnly, uuidOf } from "../operation.ts";
import { MaybePageFields, PageQuery, pageOf, viewPage } from "../paging.ts";
import { AnyObject, Common, draftId, idOf, Maybe, MaybeRef, MaybeText, present } from "../schemas.ts";
import type { Services } from "../services.ts";
import { allProfiles, usedProfiles } from "../used-profiles.ts";

const transports = ["DEFAULT", "MQTT", "COAP", "LWM2M", "SNMP"] as const;
const transport = Type.Union(transports.map((name) => Type.Literal(name)));
const provisioning = [
  "DISABLED",
  "ALLOW_CREATE_NEW_DEVICES",
  "CHECK_PRE_PROVISIONED_DEVICES",
  "X509_CERTIFICATE_CHAIN",
] as const;
const Profile = Type.Object({
  ...Common,
  name: MaybeText,
  description: MaybeText,
  image: MaybeText,
  type: Maybe(Type.Literal("DEFAULT")),
  transportType: Maybe(transport),
  provisionType: Maybe(Type.Union(provisioning.map((name) => Type.Literal(name)))),
  provisionDeviceKey: MaybeText,
  default: Maybe(Type.Boolean()),
  defaultRuleChainId: MaybeRef,
  defaultDashboardId: MaybeRef,
  defaultEdgeRuleChainId: MaybeRef,
  defaultQueueName: MaybeText,
  firmwareId: MaybeRef,
  softwareId: MaybeRef,
  externalId: MaybeRef,
  profileData: Maybe(AnyObject),
});
const rules = {
  search: ["name"],
  sort: {
    createdTime: "createdTime",
    name: "name",
    type: "type",
    transportType: "transportType",
    description: "description",
    isDefault: "default",
  },
};

type Stored = Parameters<typeof deviceProfileView>[0];
function infoView({ value }: Stored) {
  const { id, tenantId, name, image, type, transportType, defaultDashboardId } = value;
  const dashboard = defaultDashboardId === null ? null : { entityType: "DASHBOARD", id: defaultDashboardId };
  const ids = { id: { entityType: "DEVICE_PROFILE", id }, tenantId: { entityType: "TENANT", id: tenantId } };
  return { ...ids, name, image, defaultDashboardId: dashboard, type, transportType };
}

/** Device profiles (rest-semantics 15.5). */
export function deviceProfileOperations(services: Services): Operation[] {
  const { registry } = services;
  const infosByIds = async (given: unknown, tenantId: string, call: { signal: AbortSignal }) => {
    const found = await registry.profiles.many(listOf(given as string).map(uuidOf), call);
    return { json: found.filter(({ value }) => value.tenantId === tenantId).map(infoView) };
  };
  const read = (path: string, who: Operation["who"], view: (profile: Stored) => unknown) =>
    operation({
      method: "GET",
      path,
      who,
      run: async ({ principal, id, call }) => ({
        json: view(await profileFor(services, { principal, id: id("deviceProfileId") }, call)),
      }),
    });
  return [
    operation({
      method: "POST",
      path: "/api/deviceProfile",
      who: tenantOnly,
      body: Profile,
      run: async ({ principal, body, call }) => {
        const {
          id,
          defaultRuleChainId,
          defaultDashboardId,
          defaultEdgeRuleChainId,
          firmwareId,
          softwareId,
          externalId,
          ...rest
        } = body;
        const profile = {
          ...present(rest),
          ...draftId(id),
          defaultRuleChainId: idOf(defaultRuleChainId),
          defaultDashboardId: idOf(defaultDashboardId),
          defaultEdgeRuleChainId: idOf(defaultEdgeRuleChainId),
          firmwareId: idOf(firmwareId),
          softwareId: idOf(softwareId),
          externalId: idOf(externalId),
        } as Draft<DeviceProfileDocument>;
        if (profile.id !== undefined) await profileFor(services, { principal, id: profile.id }, call);
        const { tenantId } = principal;
        return { json: deviceProfileView(await registry.saveProfile({ tenantId, profile, by: principal }, call)) };
      },
    }),
    read("/api/deviceProfile/:deviceProfileId", tenantOnly, deviceProfileView),
    read("/api/deviceProfileInfo/:deviceProfileId", tenantAndCustomer, infoView),
    operation({
      method: "GET",
      path: "/api/deviceProfileInfo/default",
      who: tenantAndCustomer,
      run: async ({ principal, call }) => ({ json: infoView(await registry.defaultProfile(principal.tenantId, call)) }),
    }),
    operation({
      method: "DELETE",
      path: "/api/deviceProfile/:deviceProfileId",
      who: tenantOnly,
      run: async ({ principal, id, call }) => {
        const { value } = await profileFor(services, { principal, id: id("deviceProfileId") }, call);
        await registry.removeProfile({ tenantId: principal.tenantId, profileId: value.id, by: principal }, call);
        return undefined;
      },
    }),
    operation({
      method: "POST",
      path: "/api/deviceProfile/:deviceProfileId/default",
      who: tenantOnly,
      run: async ({ principal, id, call }) => {
        const { value } = await profileFor(services, { principal, id: id("deviceProfileId") }, call);
        return { json: deviceProfileView(await registry.makeDefault(principal.tenantId, value.id, call)) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/deviceProfiles",
      who: tenantOnly,
      query: PageQuery,
      run: async ({ principal: { tenantId }, query, call }) => {
        const page = pageOf(query, rules);
        return {
          json: viewPage(await registry.profiles.find({ ...page, where: { tenantId } }, call), page, deviceProfileView),
        };
      },
    }),
    operation({
      method: "GET",
      path: "/api/deviceProfileInfos",
      who: tenantAndCustomer,
      query: Type.Object({
        ...MaybePageFields,
        transportType: Type.Optional(transport),
        deviceProfileIds: Type.Optional(Type.Unknown()),
      }),
      run: async ({ principal: { tenantId }, query, call }) => {
        if (query.deviceProfileIds !== undefined) return infosByIds(query.deviceProfileIds, tenantId, call);
        const page = pageOf(query, rules);
        const { transportType } = query;
        const where: Query["where"] = { tenantId, ...(transportType === undefined ? {} : { transportType }) };
        return { json: viewPage(await registry.profiles.find({ ...page, where }, call), page, infoView) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/deviceProfileInfos/list",
      who: tenantAndCustomer,
      query: Type.Object({ deviceProfileIds: Type.Unknown() }),
      run: ({ principal, query, call }) => infosByIds(query.deviceProfileIds, principal.tenantId, call),
    }),
    operation({
      method: "GET",
      path: "/api/deviceProfile/names",
      who: tenantAndCustomer,
      query: Type.Object({ activeOnly: Type.Optional(Type.Boolean()) }),
      run: async ({ principal: { tenantId }, query, call }) => {
        const profiles = await (query.activeOnly === true ? usedProfiles : allProfiles)(registry, tenantId, call);
        return {
          json: profiles.map(({ value: { id, name } }) => ({ id: { entityType: "DEVICE_PROFILE", id }, name })),
        };
      },
    }),
  ];
}
