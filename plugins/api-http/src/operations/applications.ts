import { type Application, applicationPrefix, type Stored, Type } from "@heddle/plugin-sdk";
import { type Exchange, notFound, type Operation, operation, tenantOnly } from "../operation.ts";
import { PageQuery, pageOf, pageView } from "../paging.ts";
import { Common, idOf, Maybe, MaybeText } from "../schemas.ts";
import type { Services } from "../services.ts";

const Filters = Maybe(Type.Array(Type.String()));
const Body = Type.Object({
  ...Common,
  name: MaybeText,
  enabled: Maybe(Type.Boolean()),
  publish: Filters,
  subscribe: Filters,
  additionalInfo: Type.Optional(Type.Unknown()),
});
const rules = {
  search: ["name"],
  sort: { createdTime: "createdTime", name: "name", enabled: "enabled" },
};

export const applicationView = ({ value, version }: Stored<Application>) => ({
  id: { entityType: "APPLICATION", id: value.id },
  createdTime: value.createdTime,
  tenantId: { entityType: "TENANT", id: value.tenantId },
  name: value.name,
  userName: `${applicationPrefix}${value.id}`,
  enabled: value.enabled,
  publish: value.publish,
  subscribe: value.subscribe,
  additionalInfo: value.additionalInfo,
  version,
});

/** Programs of a tenant that use the MQTT broker; the tenant's administrators manage them. Not part of the reference's API. */
export function applicationOperations({ applications }: Services): Operation[] {
  if (applications === undefined) return [];
  const owned = async ({ principal, id, call }: Exchange) => {
    const found = await applications.get(id("id"), call);
    if (found === undefined || found.value.tenantId !== principal.tenantId) throw notFound("Application", id("id"));
    return found;
  };
  return [
    operation({
      method: "POST",
      path: "/api/application",
      who: tenantOnly,
      body: Body,
      run: async ({ principal, body, call }) => {
        const id = idOf(body.id);
        const { publish, subscribe, enabled, version, additionalInfo } = body;
        const draft = {
          tenantId: principal.tenantId,
          name: body.name ?? "",
          ...(id === null ? {} : { id }),
          ...(typeof enabled === "boolean" ? { enabled } : {}),
          ...(Array.isArray(publish) ? { publish } : {}),
          ...(Array.isArray(subscribe) ? { subscribe } : {}),
          ...(typeof version === "number" ? { version } : {}),
          additionalInfo: additionalInfo ?? null,
        };
        const { application, password } = await applications.save(draft, call);
        return { json: { ...applicationView(application), ...(password === undefined ? {} : { password }) } };
      },
    }),
    operation({
      method: "GET",
      path: "/api/applications",
      who: tenantOnly,
      query: PageQuery,
      run: async ({ principal, query, call }) => {
        const page = pageOf(query, rules);
        const { items, total } = await applications.find({ ...page, where: { tenantId: principal.tenantId } }, call);
        return { json: pageView({ items: items.map(applicationView), total }, page) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/application/:id",
      who: tenantOnly,
      run: async (exchange) => ({ json: applicationView(await owned(exchange)) }),
    }),
    operation({
      method: "POST",
      path: "/api/application/:id/password",
      who: tenantOnly,
      run: async (exchange) => {
        const { value } = await owned(exchange);
        return {
          json: {
            userName: `${applicationPrefix}${value.id}`,
            password: await applications.renew(value.id, exchange.call),
          },
        };
      },
    }),
    operation({
      method: "DELETE",
      path: "/api/application/:id",
      who: tenantOnly,
      run: async (exchange) => {
        await applications.remove((await owned(exchange)).value.id, exchange.call);
        return undefined;
      },
    }),
  ];
}
