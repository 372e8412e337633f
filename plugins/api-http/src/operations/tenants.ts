import { type Draft, type Static, type TenantDocument, Type, tenantView, userView } from "@heddle/plugin-sdk";
import {
  forbidden,
  listOf,
  notFound,
  type Operation,
  operation,
  systemAndTenant,
  systemOnly,
  uuidOf,
} from "../operation.ts";
import { MaybePageFields, PageQuery, pageOf, viewPage } from "../paging.ts";
import { Common, Contact, draftId, idOf, MaybeRef, MaybeText, present } from "../schemas.ts";
import type { Services } from "../services.ts";
import { userRules } from "./user-view.ts";

const Tenant = Type.Object({ ...Common, ...Contact, title: MaybeText, region: MaybeText, tenantProfileId: MaybeRef });
const rules = {
  search: ["title"],
  sort: {
    createdTime: "createdTime",
    title: "title",
    name: "title",
    region: "region",
    country: "country",
    city: "city",
    email: "email",
  },
};
const infoRules = {
  ...rules,
  search: ["title", "region"],
  sort: { ...rules.sort, tenantProfileName: "tenantProfileId" },
};
const listQuery = Type.Object({ ...MaybePageFields, tenantIds: Type.Optional(Type.Unknown()) });

function draftOf(body: Static<typeof Tenant>): Draft<TenantDocument> {
  const { id, tenantProfileId, ...rest } = body;
  const profile = idOf(tenantProfileId);
  return { ...present(rest), ...draftId(id), ...(profile === null ? {} : { tenantProfileId: profile }) };
}

/** Tenants, for system administrators (rest-semantics 17). */
export function tenantOperations(services: Services): Operation[] {
  const { directory, lifecycle } = services;
  const info = async (tenant: Parameters<typeof tenantView>[0], call: { signal: AbortSignal }) => {
    const profile = await directory.tenantProfiles.get(tenant.value.tenantProfileId, call);
    return { ...tenantView(tenant), tenantProfileName: profile?.value.name ?? null };
  };
  const byId = async (id: string, call: { signal: AbortSignal }) => {
    const tenant = await directory.tenants.get(id, call);
    if (tenant === undefined) throw notFound("Tenant", id);
    return tenant;
  };
  const byIds = async (given: unknown, mine: string | undefined, call: { signal: AbortSignal }) => {
    const ids = listOf(given as string).map(uuidOf);
    const found = await directory.tenants.many(mine === undefined ? ids : ids.filter((id) => id === mine), call);
    return { json: found.map(tenantView) };
  };
  return [
    operation({
      method: "POST",
      path: "/api/tenant",
      who: systemOnly,
      body: Tenant,
      run: async ({ body, call }) => {
        const draft = draftOf(body);
        const isNew = draft.id === undefined;
        return {
          json: tenantView(await (isNew ? lifecycle.createTenant(draft, call) : directory.saveTenant(draft, call))),
        };
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenant/:tenantId",
      who: systemAndTenant,
      run: async ({ principal, id, call }) => {
        const tenantId = id("tenantId");
        if (principal.authority !== "SYS_ADMIN" && principal.tenantId !== tenantId) throw forbidden();
        return { json: tenantView(await byId(tenantId, call)) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenant/info/:tenantId",
      who: systemAndTenant,
      run: async ({ principal, id, call }) => {
        const tenantId = id("tenantId");
        if (principal.authority !== "SYS_ADMIN" && principal.tenantId !== tenantId) throw forbidden();
        return { json: await info(await byId(tenantId, call), call) };
      },
    }),
    operation({
      method: "DELETE",
      path: "/api/tenant/:tenantId",
      who: systemOnly,
      run: async ({ principal, id, call }) => {
        const tenant = await byId(id("tenantId"), call);
        const entity = { entityType: "TENANT", id: tenant.value.id };
        await lifecycle.remove({ tenantId: tenant.value.id, entity, by: principal }, call);
        return undefined;
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenants",
      who: systemOnly,
      query: listQuery,
      run: async ({ query, call }) => {
        if (query.tenantIds !== undefined) return byIds(query.tenantIds, undefined, call);
        const page = pageOf(query, rules);
        return { json: viewPage(await directory.tenants.find(page, call), page, tenantView) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenants/list",
      who: systemAndTenant,
      query: Type.Object({ tenantIds: Type.Unknown() }),
      run: ({ principal, query, call }) =>
        byIds(query.tenantIds, principal.authority === "SYS_ADMIN" ? undefined : principal.tenantId, call),
    }),
    operation({
      method: "GET",
      path: "/api/tenantInfos",
      who: systemOnly,
      query: PageQuery,
      run: async ({ query, call }) => {
        const page = pageOf(query, infoRules);
        const { items, total } = await directory.tenants.find(page, call);
        const data = await Promise.all(items.map((tenant) => info(tenant, call)));
        return { json: { ...viewPage({ items, total }, page, tenantView), data } };
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenant/:tenantId/users",
      who: systemOnly,
      query: PageQuery,
      run: async ({ id, query, call }) => {
        const page = pageOf(query, userRules);
        const where = { tenantId: id("tenantId"), authority: "TENANT_ADMIN" };
        return { json: viewPage(await directory.users.find({ ...page, where }, call), page, userView) };
      },
    }),
  ];
}
