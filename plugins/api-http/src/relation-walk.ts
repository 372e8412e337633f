import {
  type CallOptions,
  type EntityId,
  Fault,
  invalid,
  type RelationDocument,
  type RelationGroup,
  type Relations,
  type Static,
  type Stored,
  Type,
} from "@heddle/plugin-sdk";
import { Maybe, MaybeText } from "./schemas.ts";

const names: readonly RelationGroup[] = [
  "COMMON",
  "DASHBOARD",
  "RULE_CHAIN",
  "RULE_NODE",
  "EDGE",
  "EDGE_AUTO_ASSIGN_RULE_CHAIN",
];
export const groups = Type.Union(names.map((name) => Type.Literal(name)));

export const SearchParameters = Type.Object({
  rootId: Type.String(),
  rootType: Type.String(),
  direction: Type.Union([Type.Literal("FROM"), Type.Literal("TO")]),
  relationTypeGroup: Maybe(groups),
  maxLevel: Maybe(Type.Integer()),
  fetchLastLevelOnly: Maybe(Type.Boolean()),
});
export const TypeFilter = Type.Object({
  relationType: MaybeText,
  entityTypes: Maybe(Type.Array(Type.String())),
  negate: Maybe(Type.Boolean()),
});

/** Of an old parameter; without one COMMON. */
export function groupOf(text: string | undefined): RelationGroup {
  if (text === undefined || text === "") return "COMMON";
  const group = names.find((name) => name === text);
  if (group === undefined) throw invalid(`Relation type group '${text.slice(0, 60)}' is not supported!`);
  return group;
}

/** Relations that one walk meets. */
const mostMet = 20_000;

interface Walk {
  readonly root: EntityId;
  readonly parameters: Static<typeof SearchParameters>;
}

/** The relations that are met from the root on, level by level; none twice, and round trips end (rest-semantics 11.5). */
export async function walkRelations(
  relations: Relations,
  { root, parameters }: Walk,
  call: CallOptions,
): Promise<Stored<RelationDocument>[]> {
  const side = parameters.direction === "FROM" ? "from" : "to";
  const other = side === "from" ? "to" : "from";
  const typeGroup = parameters.relationTypeGroup ?? "COMMON";
  const deepest = (parameters.maxLevel ?? 0) > 0 ? (parameters.maxLevel as number) : Number.POSITIVE_INFINITY;
  const met: { readonly relation: Stored<RelationDocument>; readonly level: number }[] = [];
  const seen = new Set([root.id]);
  /** Those that lead on. */
  const inner = new Set<string>();
  let level: EntityId[] = [root];
  for (let depth = 1; depth <= deepest && level.length > 0; depth++) {
    const next: EntityId[] = [];
    for (const entity of level) {
      const found = await relations.of(entity, { side, typeGroup }, call);
      if (found.length > 0) inner.add(entity.id);
      for (const relation of found) {
        met.push({ relation, level: depth });
        const end = relation.value[other];
        if (seen.has(end.id)) continue;
        seen.add(end.id);
        next.push(end);
      }
      if (met.length > mostMet) {
        throw new Fault("invalid", "api.scan", `more than ${mostMet} relations are met from there`);
      }
    }
    level = next;
  }
  const last = parameters.fetchLastLevelOnly === true;
  return met
    .filter(({ relation, level: at }) => !last || at === deepest || !inner.has(relation.value[other].id))
    .map(({ relation }) => relation);
}

/** Whether one of the filters lets the relation through; without filters all pass. */
export function passes(
  { value }: Stored<RelationDocument>,
  filters: readonly Static<typeof TypeFilter>[] | null | undefined,
  direction: "FROM" | "TO",
): boolean {
  if (filters === undefined || filters === null || filters.length === 0) return true;
  const other = direction === "FROM" ? value.to : value.from;
  return filters.some(({ relationType, entityTypes, negate }) => {
    const typed = !relationType || (relationType === value.type) !== (negate === true);
    const fits = !entityTypes || entityTypes.length === 0 || entityTypes.includes(other.entityType);
    return typed && fits;
  });
}
