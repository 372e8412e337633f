import { type Draft, type TenantProfileDocument, Type, tenantProfileView } from "@heddle/plugin-sdk";
import { listOf, notFound, type Operation, operation, systemAndTenant, systemOnly, uuidOf } from "../operation.ts";
import { MaybePageFields, PageQuery, pageOf, viewPage } from "../paging.ts";
import { AnyObject, Common, draftId, Maybe, MaybeText, present } from "../schemas.ts";
import type { Services } from "../services.ts";

const Profile = Type.Object({
  ...Common,
  name: MaybeText,
  description: MaybeText,
  isolatedTbRuleEngine: Maybe(Type.Boolean()),
  default: Maybe(Type.Boolean()),
  profileData: Maybe(AnyObject),
});
const rules = {
  search: ["name"],
  sort: {
    createdTime: "createdTime",
    name: "name",
    description: "description",
    isDefault: "default",
    default: "default",
  },
};

type Stored = Parameters<typeof tenantProfileView>[0];
const infoView = ({ value: { id, name } }: Stored) => ({ id: { entityType: "TENANT_PROFILE", id }, name });

/** Tenant profiles (rest-semantics 17.6). */
export function tenantProfileOperations({ directory }: Services): Operation[] {
  const byId = async (id: string, call: { signal: AbortSignal }) => {
    const profile = await directory.tenantProfiles.get(id, call);
    if (profile === undefined) throw notFound("Tenant profile", id);
    return profile;
  };
  const byIds = async (given: unknown, call: { signal: AbortSignal }) => ({
    json: (await directory.tenantProfiles.many(listOf(given as string).map(uuidOf), call)).map(tenantProfileView),
  });
  return [
    operation({
      method: "POST",
      path: "/api/tenantProfile",
      who: systemOnly,
      body: Profile,
      run: async ({ body, call }) => {
        const { id, ...rest } = body;
        const draft = { ...present(rest), ...draftId(id) } as Draft<TenantProfileDocument>;
        return { json: tenantProfileView(await directory.saveTenantProfile(draft, call)) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenantProfile/:tenantProfileId",
      who: systemOnly,
      run: async ({ id, call }) => ({ json: tenantProfileView(await byId(id("tenantProfileId"), call)) }),
    }),
    operation({
      method: "DELETE",
      path: "/api/tenantProfile/:tenantProfileId",
      who: systemOnly,
      run: async ({ id, call }) => {
        await directory.removeTenantProfile(id("tenantProfileId"), call);
        return undefined;
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenantProfileInfo/default",
      who: systemOnly,
      run: async ({ call }) => ({ json: infoView(await directory.defaultTenantProfile(call)) }),
    }),
    operation({
      method: "GET",
      path: "/api/tenantProfileInfo/:tenantProfileId",
      who: systemAndTenant,
      run: async ({ id, call }) => ({ json: infoView(await byId(id("tenantProfileId"), call)) }),
    }),
    operation({
      method: "GET",
      path: "/api/tenantProfiles",
      who: systemOnly,
      query: Type.Object({ ...MaybePageFields, ids: Type.Optional(Type.Unknown()) }),
      run: async ({ query, call }) => {
        if (query.ids !== undefined) return byIds(query.ids, call);
        const page = pageOf(query, rules);
        return { json: viewPage(await directory.tenantProfiles.find(page, call), page, tenantProfileView) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/tenantProfiles/list",
      who: systemOnly,
      query: Type.Object({ ids: Type.Unknown() }),
      run: ({ query, call }) => byIds(query.ids, call),
    }),
    operation({
      method: "GET",
      path: "/api/tenantProfileInfos",
      who: systemOnly,
      query: PageQuery,
      run: async ({ query, call }) => {
        const page = pageOf(query, rules);
        return { json: viewPage(await directory.tenantProfiles.find(page, call), page, infoView) };
      },
    }),
  ];
}
