import {
  type CallOptions,
  type EntityId,
  invalid,
  type Plain,
  type Principal,
  publishEntityEvent,
  type RelationDocument,
  type Static,
  type Stored,
  Type,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { EntityAccess, type Found } from "../entity-access.ts";
import { type Exchange, everyone, nothingFound, type Operation, operation, uuidOf } from "../operation.ts";
import { groupOf, groups } from "../relation-walk.ts";
import { EntityRef, Maybe, MaybeText } from "../schemas.ts";
import type { Services } from "../services.ts";

const Relation = Type.Object({
  from: Maybe(EntityRef),
  to: Maybe(EntityRef),
  type: MaybeText,
  typeGroup: Maybe(groups),
  additionalInfo: Type.Optional(Type.Unknown()),
});
const EdgeQuery = Type.Object({
  fromId: Type.String(),
  fromType: Type.String(),
  relationType: Type.String(),
  relationTypeGroup: Type.Optional(Type.String()),
  toId: Type.String(),
  toType: Type.String(),
});
const EndQuery = Type.Object({
  fromId: Type.Optional(Type.String()),
  fromType: Type.Optional(Type.String()),
  toId: Type.Optional(Type.String()),
  toType: Type.Optional(Type.String()),
  relationType: Type.Optional(Type.String()),
  relationTypeGroup: Type.Optional(Type.String()),
});
const longestType = 255;

type Side = "from" | "to";

export const relationView = ({ value, version }: Stored<RelationDocument>) => {
  const { from, to, type, typeGroup, additionalInfo } = value;
  return { from, to, type, typeGroup, version, additionalInfo: additionalInfo ?? null };
};

/** Relations between entities, one by one and by their ends (rest-semantics 11). */
export function relationOperations(services: Services): Operation[] {
  const { relations } = services;
  const access = new EntityAccess(services);

  const save = async ({ principal, body, call }: Exchange<Static<typeof Relation>>) => {
    const draft = relationOf(body);
    const ends = await endsOf(access, draft, principal, call);
    const relation = { ...draft, tenantId: principal.tenantId, from: ends.from.entity, to: ends.to.entity };
    const saved = await relations.save(relation, call);
    await tellEnds(services, { type: "RELATION_ADD_OR_UPDATE", saved, ends, principal }, call);
    return saved;
  };
  const remove = async ({ principal, query, call }: Exchange<unknown, Static<typeof EdgeQuery>>) => {
    const edge = edgeOf(query);
    const ends = await endsOf(access, edge, principal, call);
    const removed = await relations.remove(edge, call);
    if (removed === undefined) throw nothingFound();
    await tellEnds(services, { type: "RELATION_DELETED", saved: removed, ends, principal }, call);
    return removed;
  };
  /** What the caller may see; `named` adds what the other end is called. */
  const list = async (
    { principal, call }: Exchange,
    at: { readonly entity: EntityId; readonly side: Side; readonly type?: string | undefined; readonly group?: string },
    named: boolean,
  ) => {
    const { entity } = await access.find(at.entity, { principal, wanted: "read" }, call);
    const { side, type } = at;
    const which = { side, typeGroup: groupOf(at.group), ...(type === undefined ? {} : { type }) };
    const found = await relations.of(entity, which, call);
    return { json: await viewsOf(access, found, { principal, side, named }, call) };
  };
  const byEnd = (path: string, named: boolean) =>
    operation({
      method: "GET",
      path,
      who: everyone,
      query: EndQuery,
      run: (exchange) => {
        const {
          fromId,
          fromType,
          toId,
          toType,
          relationType: type,
          relationTypeGroup: group = "COMMON",
        } = exchange.query;
        if (fromId !== undefined && fromType !== undefined) {
          return list(exchange, { entity: { entityType: fromType, id: fromId }, side: "from", type, group }, named);
        }
        if (toId !== undefined && toType !== undefined) {
          return list(exchange, { entity: { entityType: toType, id: toId }, side: "to", type, group }, named);
        }
        throw invalid("Required request parameters 'fromId' and 'fromType', or 'toId' and 'toType' are not present");
      },
    });
  const byPath = (path: string, how: { readonly side: Side; readonly named: boolean }) =>
    operation({
      method: "GET",
      path,
      who: everyone,
      query: Type.Object({ relationTypeGroup: Type.Optional(Type.String()) }),
      run: (exchange) => {
        const { param, query } = exchange;
        const entity = { entityType: param("entityType"), id: param("entityId") };
        const type = param("relationType");
        const at = { entity, side: how.side, group: query.relationTypeGroup ?? "COMMON" };
        return list(exchange, type === "" ? at : { ...at, type }, how.named);
      },
    });

  return [
    operation({
      method: "POST",
      path: "/api/relation",
      who: everyone,
      body: Relation,
      run: async (exchange) => {
        await save(exchange);
        return undefined;
      },
    }),
    operation({
      method: "POST",
      path: "/api/v2/relation",
      who: everyone,
      body: Relation,
      run: async (exchange) => ({ json: relationView(await save(exchange)) }),
    }),
    operation({
      method: "DELETE",
      path: "/api/relation",
      who: everyone,
      query: EdgeQuery,
      run: async (exchange) => {
        await remove(exchange);
        return undefined;
      },
    }),
    operation({
      method: "DELETE",
      path: "/api/v2/relation",
      who: everyone,
      query: EdgeQuery,
      run: async (exchange) => ({ json: relationView(await remove(exchange)) }),
    }),
    operation({
      method: "GET",
      path: "/api/relation",
      who: everyone,
      query: EdgeQuery,
      run: async ({ principal, query, call }) => {
        const edge = edgeOf(query);
        for (const end of [edge.from, edge.to]) await access.find(end, { principal, wanted: "read" }, call);
        const found = await relations.get(edge, call);
        if (found === undefined) throw nothingFound();
        return { json: relationView(found) };
      },
    }),
    operation({
      method: "DELETE",
      path: "/api/relations",
      who: everyone,
      query: Type.Object({ entityId: Type.String(), entityType: Type.String() }),
      run: async ({ principal, query: { entityId, entityType }, call }) => {
        const found = await access.find({ entityType, id: entityId }, { principal, wanted: "write" }, call);
        for (const side of ["from", "to"] as const) {
          const all = await relations.of(found.entity, { side, typeGroup: "COMMON" }, call);
          for (const { value } of all) await relations.remove(value, call);
        }
        await tell(services, { type: "RELATIONS_DELETED", found, data: "{}", principal }, call);
        return undefined;
      },
    }),
    byEnd("/api/relations", false),
    byEnd("/api/relations/info", true),
    ...(["from", "to"] as const).flatMap((side) => [
      byPath(`/api/relations/${side}/:entityType/:entityId`, { side, named: false }),
      byPath(`/api/relations/${side}/:entityType/:entityId/:relationType`, { side, named: false }),
      byPath(`/api/relations/info/${side}/:entityType/:entityId`, { side, named: true }),
    ]),
  ];
}

function relationOf({ from, to, type, typeGroup, additionalInfo }: Static<typeof Relation>) {
  const broken: string[] = [];
  if (from === undefined || from === null) broken.push("from must not be null");
  if (to === undefined || to === null) broken.push("to must not be null");
  if (type === undefined || type === null || type.trim() === "") broken.push("type must not be blank");
  else if (type.length > longestType) broken.push(`type length must be equal or less than ${longestType}`);
  if (!from || !to || !type || broken.length > 0) throw invalid(`Validation error: ${broken.join(", ")}`);
  const end = ({ entityType, id }: Static<typeof EntityRef>): EntityId => ({ entityType: entityType ?? "", id });
  return { from: end(from), to: end(to), type, typeGroup: typeGroup ?? "COMMON", additionalInfo };
}

function edgeOf(query: Static<typeof EdgeQuery>) {
  return {
    from: { entityType: query.fromType, id: uuidOf(query.fromId) },
    to: { entityType: query.toType, id: uuidOf(query.toId) },
    type: query.relationType,
    typeGroup: groupOf(query.relationTypeGroup),
  };
}

interface Ends {
  readonly from: Found;
  readonly to: Found;
}

/** Both ends, which the caller must be allowed to change (rest-semantics 3.7). */
async function endsOf(
  access: EntityAccess,
  edge: { readonly from: EntityId; readonly to: EntityId },
  principal: Principal,
  call: CallOptions,
): Promise<Ends> {
  const how = { principal, wanted: "write" as const };
  return { from: await access.find(edge.from, how, call), to: await access.find(edge.to, how, call) };
}

export async function viewsOf(
  access: EntityAccess,
  found: readonly Stored<RelationDocument>[],
  { principal, side, named }: { readonly principal: Principal; readonly side: Side; readonly named: boolean },
  call: CallOptions,
) {
  const other = side === "from" ? "to" : "from";
  const names = { fromName: null, toName: null };
  const views = await Promise.all(
    found.map(async (relation) => {
      const end = await access.visible(relation.value[other], principal, call);
      if (end === undefined) return [];
      const view = relationView(relation);
      return [named ? { ...view, ...names, [`${other}Name`]: end.name } : view];
    }),
  );
  return views.flat();
}

async function tellEnds(
  services: Services,
  what: {
    readonly type: string;
    readonly saved: Stored<RelationDocument>;
    readonly ends: Ends;
    readonly principal: Principal;
  },
  call: CallOptions,
): Promise<void> {
  const { type, saved, ends, principal } = what;
  const data = writeTypedJson(relationView(saved) as unknown as Plain);
  for (const found of [ends.from, ends.to]) await tell(services, { type, found, data, principal }, call);
}

function tell(
  services: Services,
  what: { readonly type: string; readonly found: Found; readonly data: string; readonly principal: Principal },
  call: CallOptions,
): Promise<void> {
  const { type, found, data, principal } = what;
  const { entity, name, customerId, ruleChainId } = found;
  const { tenantId } = principal;
  const event = { tenantId, type, originator: entity, entityName: name, customerId, ruleChainId, by: principal, data };
  return publishEntityEvent(services, event, call);
}
