import { type Draft, Fault, invalid, nullId, Type, type UserDocument, userView } from "@heddle/plugin-sdk";
import { customerFor, mayUser, userFor } from "../access.ts";
import {
  everyone,
  forbidden,
  listOf,
  type Operation,
  operation,
  systemAndTenant,
  tenantAndCustomer,
  tenantOnly,
  uuidOf,
} from "../operation.ts";
import { MaybePageFields, PageQuery, pageOf, pageView, viewPage } from "../paging.ts";
import { Common, draftId, idOf, Maybe, MaybeRef, MaybeText, present } from "../schemas.ts";
import type { Services } from "../services.ts";
import { userRules } from "./user-view.ts";

const authority = Type.Union([Type.Literal("SYS_ADMIN"), Type.Literal("TENANT_ADMIN"), Type.Literal("CUSTOMER_USER")]);
const User = Type.Object({
  ...Common,
  tenantId: MaybeRef,
  customerId: MaybeRef,
  email: MaybeText,
  authority: Maybe(authority),
  firstName: MaybeText,
  lastName: MaybeText,
  phone: MaybeText,
});
const activationQuery = Type.Object({ sendActivationMail: Type.Optional(Type.Boolean()) });
const infoRules = { ...userRules, search: ["email", "firstName", "lastName"] };

type Stored = Parameters<typeof userView>[0];
const infoView = ({ value: { id, email, firstName, lastName } }: Stored) => ({
  id: { entityType: "USER", id },
  email,
  firstName: firstName ?? "",
  lastName: lastName ?? "",
});

/** Users, their activation and their state (rest-semantics 17.1–17.3). */
export function userOperations(services: Services): Operation[] {
  const { directory, accounts, lifecycle } = services;
  const link = (base: string, token: string) =>
    `${base}/api/noauth/activate?activateToken=${encodeURIComponent(token)}`;
  return [
    operation({
      method: "POST",
      path: "/api/user",
      who: everyone,
      body: User,
      query: activationQuery,
      run: async ({ principal, body, query, call }) => {
        const { id, tenantId: tenant, customerId: customer, ...rest } = body;
        // Below the system level everybody's users are of their own tenant (rest-semantics 3.10).
        const tenantId = principal.authority === "SYS_ADMIN" ? (idOf(tenant) ?? nullId) : principal.tenantId;
        const draft = { ...present(rest), ...draftId(id), tenantId, customerId: idOf(customer) } as Draft<UserDocument>;
        if (draft.id !== undefined) await userFor(services, { principal, id: draft.id, wanted: "write" }, call);
        else if (!mayMake(principal, draft)) throw forbidden();
        if (draft.id === undefined && query.sendActivationMail !== false) {
          throw new Fault(
            "unavailable",
            "api.mail",
            "Couldn't send user activation email: no mail plugin is configured",
          );
        }
        return { json: userView(await directory.saveUser(draft, call)) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/user/:userId",
      who: everyone,
      run: async ({ principal, id, call }) => {
        const user = await userFor(services, { principal, id: id("userId"), wanted: "read" }, call);
        const { enabled, activated, lastLoginTs } = await accounts.state(user.value.id, call);
        const state = { userCredentialsEnabled: enabled, userActivated: activated, lastLoginTs };
        return { json: { ...userView(user), additionalInfo: { ...user.value.additionalInfo, ...state } } };
      },
    }),
    operation({
      method: "DELETE",
      path: "/api/user/:userId",
      who: systemAndTenant,
      run: async ({ principal, id, call }) => {
        const { value: user } = await userFor(services, { principal, id: id("userId"), wanted: "own" }, call);
        if (user.authority === "SYS_ADMIN" && user.id === principal.userId) {
          throw new Fault("denied", "api.forbidden", "Sysadmin is not allowed to delete himself");
        }
        if (user.authority === "TENANT_ADMIN") {
          const where = { tenantId: user.tenantId, authority: "TENANT_ADMIN" };
          const { total } = await directory.users.find({ where, limit: 1 }, call);
          if (total <= 1) throw invalid("At least one tenant administrator must remain!");
        }
        await lifecycle.remove(
          { tenantId: user.tenantId, entity: { entityType: "USER", id: user.id }, by: principal },
          call,
        );
        return undefined;
      },
    }),
    operation({
      method: "GET",
      path: "/api/user/tokenAccessEnabled",
      who: systemAndTenant,
      run: () => ({ json: true }),
    }),
    operation({
      method: "GET",
      path: "/api/user/:userId/token",
      who: systemAndTenant,
      run: async ({ principal, id, call }) => {
        const user = await userFor(services, { principal, id: id("userId"), wanted: "own" }, call);
        return { json: await accounts.tokensOf(user.value.id, call) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/user/:userId/activationLink",
      who: systemAndTenant,
      run: async ({ principal, id, base, call }) => {
        const user = await userFor(services, { principal, id: id("userId"), wanted: "own" }, call);
        return { text: link(base, (await accounts.activation(user.value.id, call)).token) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/user/:userId/activationLinkInfo",
      who: systemAndTenant,
      run: async ({ principal, id, base, call }) => {
        const user = await userFor(services, { principal, id: id("userId"), wanted: "own" }, call);
        const { token, ttlMs } = await accounts.activation(user.value.id, call);
        return { json: { value: link(base, token), ttlMs } };
      },
    }),
    operation({
      method: "POST",
      path: "/api/user/:userId/userCredentialsEnabled",
      who: systemAndTenant,
      query: Type.Object({ userCredentialsEnabled: Type.Optional(Type.Boolean()) }),
      run: async ({ principal, id, query, call }) => {
        const user = await userFor(services, { principal, id: id("userId"), wanted: "own" }, call);
        await accounts.setEnabled(user.value.id, query.userCredentialsEnabled ?? true, call);
        return undefined;
      },
    }),
    operation({
      method: "GET",
      path: "/api/users",
      who: tenantAndCustomer,
      query: Type.Object({ ...MaybePageFields, userIds: Type.Optional(Type.Unknown()) }),
      run: async ({ principal, query, call }) => {
        if (query.userIds !== undefined) return byIds(query.userIds, principal, call);
        const page = pageOf(query, userRules);
        return {
          json: viewPage(await directory.users.find({ ...page, where: visible(principal) }, call), page, userView),
        };
      },
    }),
    operation({
      method: "GET",
      path: "/api/users/list",
      who: everyone,
      query: Type.Object({ userIds: Type.Unknown() }),
      run: ({ principal, query, call }) => byIds(query.userIds, principal, call),
    }),
    operation({
      method: "GET",
      path: "/api/users/info",
      who: everyone,
      query: PageQuery,
      run: async ({ principal, query, call }) => {
        const page = pageOf(query, infoRules);
        const { items, total } = await directory.users.find({ ...page, where: visible(principal) }, call);
        return { json: pageView({ items: items.map(infoView), total }, page) };
      },
    }),
    operation({
      method: "GET",
      path: "/api/customer/:customerId/users",
      who: tenantOnly,
      query: PageQuery,
      run: async ({ principal, id, query, call }) => {
        const customer = await customerFor(services, { principal, id: id("customerId"), wanted: "read" }, call);
        const page = pageOf(query, userRules);
        const where = { tenantId: principal.tenantId, customerId: customer.value.id };
        return { json: viewPage(await directory.users.find({ ...page, where }, call), page, userView) };
      },
    }),
  ];

  async function byIds(given: unknown, principal: Parameters<typeof mayUser>[0], call: { signal: AbortSignal }) {
    const found = await directory.users.many(listOf(given as string).map(uuidOf), call);
    return { json: found.filter(({ value }) => mayUser(principal, value, "read")).map(userView) };
  }
}

/** Whose rows a list shows. */
function visible({ authority, tenantId, customerId }: Parameters<typeof mayUser>[0]): Record<string, string> {
  return authority === "CUSTOMER_USER" ? { tenantId, customerId } : { tenantId };
}

function mayMake(principal: Parameters<typeof mayUser>[0], draft: Draft<UserDocument>): boolean {
  if (principal.authority === "CUSTOMER_USER") return false;
  const { authority: wanted, tenantId = nullId, customerId = null } = draft;
  return wanted === undefined || mayUser(principal, { authority: wanted, tenantId, customerId }, "own");
}
