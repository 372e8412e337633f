import { deviceView, type EntityId, type RelationDocument, type Static, type Stored, Type } from "@heddle/plugin-sdk";
import { EntityAccess } from "../entity-access.ts";
import {
  type Exchange,
  everyone,
  nothingFound,
  type Operation,
  operation,
  tenantAndCustomer,
  uuidOf,
} from "../operation.ts";
import { passes, SearchParameters, TypeFilter, walkRelations } from "../relation-walk.ts";
import { Maybe, MaybeText } from "../schemas.ts";
import type { Services } from "../services.ts";
import { viewsOf } from "./relations.ts";

const Query = Type.Object({ parameters: SearchParameters, filters: Maybe(Type.Array(TypeFilter)) });
const DeviceQuery = Type.Object({
  parameters: Maybe(SearchParameters),
  relationType: MaybeText,
  deviceTypes: Maybe(Type.Array(Type.String())),
});

/** Searches along relations (rest-semantics 11.5, 11.6). */
export function relationQueryOperations(services: Services): Operation[] {
  const { relations, registry } = services;
  const access = new EntityAccess(services);

  const walk = async (
    { principal, call }: Exchange,
    parameters: Static<typeof SearchParameters>,
    filters: readonly Static<typeof TypeFilter>[] | null | undefined,
  ): Promise<Stored<RelationDocument>[]> => {
    const asked: EntityId = { entityType: parameters.rootType, id: uuidOf(parameters.rootId) };
    const { entity: root } = await access.find(asked, { principal, wanted: "read" }, call);
    const met = await walkRelations(relations, { root, parameters }, call);
    return met.filter((relation) => passes(relation, filters, parameters.direction));
  };
  const query = (path: string, named: boolean) =>
    operation({
      method: "POST",
      path,
      who: everyone,
      body: Query,
      run: async (exchange) => {
        const { principal, body, call } = exchange;
        const found = await walk(exchange, body.parameters, body.filters);
        const side = body.parameters.direction === "FROM" ? "from" : "to";
        return { json: await viewsOf(access, found, { principal, side, named }, call) };
      },
    });

  return [
    query("/api/relations", false),
    query("/api/relations/info", true),
    operation({
      method: "POST",
      path: "/api/devices",
      who: tenantAndCustomer,
      body: DeviceQuery,
      run: async (exchange) => {
        const { parameters, relationType, deviceTypes } = exchange.body;
        if (!parameters || !deviceTypes) throw nothingFound();
        const filter = { relationType: relationType ?? "Contains", entityTypes: ["DEVICE"] };
        const found = await walk(exchange, parameters, [filter]);
        const ends = found.map(({ value }) => (parameters.direction === "FROM" ? value.to : value.from).id);
        const devices = await registry.devices.many([...new Set(ends)], exchange.call);
        const { tenantId, authority, customerId } = exchange.principal;
        const mine = devices.filter(
          ({ value }) =>
            value.tenantId === tenantId &&
            deviceTypes.includes(value.type) &&
            (authority === "TENANT_ADMIN" || value.customerId === customerId),
        );
        return { json: mine.map(deviceView) };
      },
    }),
  ];
}
