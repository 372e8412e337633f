import { type EntityKey, invalid, type Static, Type } from "@heddle/plugin-sdk";
import { checkOf } from "./check.ts";

/** Shapes of rest-semantics 10.1. What is beside them is ignored, as clients of later versions send more. */
const maybe = <T extends Parameters<typeof Type.Optional>[0]>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));
const Key = Type.Object({
  type: Type.String({
    enum: ["ENTITY_FIELD", "TIME_SERIES", "ATTRIBUTE", "CLIENT_ATTRIBUTE", "SHARED_ATTRIBUTE", "SERVER_ATTRIBUTE"],
  }),
  key: Type.String({ minLength: 1, maxLength: 255 }),
});
const Filter = Type.Object({ type: Type.String() }, { additionalProperties: true });
const Ref = Type.Object({ entityType: Type.String(), id: Type.String() });
const KeyFilter = Type.Object({
  key: Key,
  valueType: maybe(Type.String()),
  predicate: Type.Object({ type: Type.String() }, { additionalProperties: true }),
});
const CountQuery = Type.Object({
  entityFilter: maybe(Filter),
  keyFilters: maybe(Type.Array(KeyFilter, { maxItems: 100 })),
  keyFiltersOperation: maybe(Type.Union([Type.Literal("AND"), Type.Literal("OR")])),
});
const DataQuery = Type.Object({
  ...CountQuery.properties,
  pageLink: maybe(
    Type.Object({
      pageSize: Type.Integer(),
      page: Type.Integer(),
      textSearch: maybe(Type.String()),
      sortOrder: maybe(
        Type.Object({ key: Key, direction: maybe(Type.Union([Type.Literal("ASC"), Type.Literal("DESC")])) }),
      ),
    }),
  ),
  entityFields: maybe(Type.Array(Key, { maxItems: 200 })),
  latestValues: maybe(Type.Array(Key, { maxItems: 200 })),
});

/** Compiled when the first query comes. */
const checkCount = checkOf(CountQuery, "Query");
const checkData = checkOf(DataQuery, "Query");
const checkRef = checkOf(Ref, "Entity id");

export type EntityFilter = Static<typeof Filter> & Readonly<Record<string, unknown>>;
export type KeyFilter = { readonly key: EntityKey; readonly predicate: Readonly<Record<string, unknown>> };

export interface CountQuery {
  readonly filter: EntityFilter;
  readonly keyFilters: readonly KeyFilter[];
  readonly any: boolean;
}

export interface DataQuery extends CountQuery {
  readonly pageSize: number;
  readonly page: number;
  readonly search: string;
  readonly sort: { readonly key: EntityKey; readonly descending: boolean };
  readonly columns: readonly EntityKey[];
}

/** Rows of one page. */
export const mostRows = 10_000;

export function readCountQuery(query: unknown): CountQuery {
  checkCount(query);
  return countOf(query as Static<typeof CountQuery>);
}

export function readDataQuery(query: unknown, also: readonly EntityKey[] = []): DataQuery {
  checkData(query);
  const { pageLink, entityFields, latestValues, ...rest } = query as Static<typeof DataQuery>;
  const count = countOf(rest);
  if (pageLink === undefined || pageLink === null) throw invalid("Entity Data Page link must be specified.");
  if (pageLink.pageSize < 1)
    throw invalid(`Incorrect page link page size '${pageLink.pageSize}'. Page size must be greater than zero.`);
  if (pageLink.page < 0) throw invalid(`Incorrect page link page '${pageLink.page}'. Page must be positive integer.`);
  const columns = new Map<string, EntityKey>();
  for (const key of [...(entityFields ?? []), ...(latestValues ?? []), ...also] as EntityKey[])
    columns.set(`${key.type}/${key.key}`, key);
  const { sortOrder } = pageLink;
  const sortKey = (sortOrder?.key ?? { type: "ENTITY_FIELD", key: "createdTime" }) as EntityKey;
  return {
    ...count,
    pageSize: Math.min(pageLink.pageSize, mostRows),
    page: pageLink.page,
    search: (pageLink.textSearch ?? "").toLowerCase(),
    sort: { key: sortKey, descending: (sortOrder?.direction ?? (sortOrder ? "ASC" : "DESC")) === "DESC" },
    columns: [...columns.values()],
  };
}

function countOf({ entityFilter, keyFilters, keyFiltersOperation }: Static<typeof CountQuery>): CountQuery {
  if (entityFilter === undefined || entityFilter === null) throw invalid("Query entity filter must be specified.");
  return {
    filter: entityFilter as EntityFilter,
    keyFilters: (keyFilters ?? []) as KeyFilter[],
    any: keyFiltersOperation === "OR",
  };
}

/** Members of filters. */
export function textOf(filter: EntityFilter, member: string): string {
  const value = filter[member] ?? "";
  if (typeof value !== "string") throw invalid(`${filter.type}: '${member}' must be a text`);
  return value;
}

export function textsOf(filter: EntityFilter, member: string): readonly string[] {
  const value = filter[member] ?? [];
  if (!Array.isArray(value) || value.some((one) => typeof one !== "string"))
    throw invalid(`${filter.type}: '${member}' must be a list of texts`);
  return value;
}

export function refOf(filter: EntityFilter, member: string): { readonly entityType: string; readonly id: string } {
  const value = filter[member];
  checkRef(value);
  return value as Static<typeof Ref>;
}
