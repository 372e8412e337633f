import { type ApiKey, Fault, invalid, Type } from "@heddle/plugin-sdk";
import { userFor } from "../access.ts";
import { type Exchange, everyone, notFound, type Operation, operation } from "../operation.ts";
import { PageQuery, pageOf, pageView } from "../paging.ts";
import { Common, idOf, Maybe, MaybeRef, MaybeText } from "../schemas.ts";
import type { Services } from "../services.ts";

const Key = Type.Object({
  ...Common,
  userId: MaybeRef,
  description: MaybeText,
  enabled: Maybe(Type.Boolean()),
  expirationTime: Maybe(Type.Integer({ minimum: 0 })),
});
const rules = {
  search: ["description"],
  sort: {
    createdTime: "createdTime",
    description: "description",
    enabled: "enabled",
    expirationTime: "expirationTime",
  },
};

/** API keys of the users that the caller may change (rest-semantics 2.14, 20.6). */
export function apiKeyOperations(services: Services): Operation[] {
  const { apiKeys, world } = services;
  const view = (key: ApiKey) => ({
    id: { entityType: "API_KEY", id: key.id },
    createdTime: key.createdTime,
    tenantId: { entityType: "TENANT", id: key.tenantId },
    userId: { entityType: "USER", id: key.userId },
    expirationTime: key.expirationTime,
    description: key.description,
    enabled: key.enabled,
    expired: key.expirationTime > 0 && key.expirationTime <= world.now(),
  });
  const owned = async ({ principal, id, call }: Exchange) => {
    const key = await apiKeys.get(id("id"), call);
    if (key === undefined) throw notFound("Api key", id("id"));
    await userFor(services, { principal, id: key.userId, wanted: "write" }, call);
    return key;
  };
  return [
    operation({
      method: "POST",
      path: "/api/apiKey",
      who: everyone,
      body: Key,
      run: async ({ principal, body, call }) => {
        const { description } = body;
        if (description === undefined || description === null || description.trim() === "") {
          throw invalid("Validation error: description must not be blank");
        }
        const id = idOf(body.userId);
        if (id === null) throw invalid("Invalid entity id");
        const { value: user } = await userFor(services, { principal, id, wanted: "write" }, call);
        const draft = { tenantId: user.tenantId, userId: id, description, enabled: body.enabled ?? true };
        const made = await apiKeys.create({ ...draft, expirationTime: body.expirationTime ?? 0 }, call);
        return { json: { ...view(made.key), value: made.value } };
      },
    }),
    operation({
      method: "GET",
      path: "/api/apiKeys/:userId",
      who: everyone,
      query: PageQuery,
      run: async ({ principal, id, query, call }) => {
        const user = await userFor(services, { principal, id: id("userId"), wanted: "write" }, call);
        const page = pageOf(query, rules);
        const { items, total } = await apiKeys.ofUser(user.value.id, page, call);
        return { json: pageView({ items: items.map(({ value }) => view(value)), total }, page) };
      },
    }),
    operation({
      method: "PUT",
      path: "/api/apiKey/:id/description",
      who: everyone,
      run: async (exchange) => {
        const key = await owned(exchange);
        return { json: view(await apiKeys.change(key.id, { description: String(exchange.body) }, exchange.call)) };
      },
    }),
    operation({
      method: "PUT",
      path: "/api/apiKey/:id/enabled/:enabled",
      who: everyone,
      run: async (exchange) => {
        const key = await owned(exchange);
        const enabled = exchange.param("enabled");
        if (enabled !== "true" && enabled !== "false")
          throw new Fault("invalid", "api.query", "'enabled' is true or false");
        return { json: view(await apiKeys.change(key.id, { enabled: enabled === "true" }, exchange.call)) };
      },
    }),
    operation({
      method: "DELETE",
      path: "/api/apiKey/:id",
      who: everyone,
      run: async (exchange) => {
        await apiKeys.remove((await owned(exchange)).id, exchange.call);
        return undefined;
      },
    }),
  ];
}
