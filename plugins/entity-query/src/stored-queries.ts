import {
  type AttributeStore,
  type CallOptions,
  type Collection,
  type CustomerDocument,
  customerCollection,
  type EntityKey,
  type EntityQueries,
  type EntityRow,
  type EntityRows,
  type EntityStore,
  numberOf,
  type Principal,
  type TenantDocument,
  type TimeseriesStore,
  tenantCollection,
  type Value,
  valueText,
  type World,
} from "@heddle/plugin-sdk";
import { type Candidates, candidatesOf, fits } from "./candidates.ts";
import { type DynamicValue, readPredicate, type Test } from "./predicates.ts";
import { type CountQuery, type DataQuery, readCountQuery, readDataQuery } from "./query.ts";
import { type Source, sourcesOf } from "./sources.ts";
import { type Candidate, nameOf, readValues, type ValueSources } from "./values.ts";

export interface QueryDeps {
  readonly world: World;
  readonly entities: EntityStore;
  readonly attributes: AttributeStore;
  readonly series: TimeseriesStore;
}

const batch = 1_000;

/** Entity queries over the stores. What the store cannot be asked is decided here, over at most `mostScanned` entities. */
export class StoredQueries implements EntityQueries {
  readonly #deps: QueryDeps;
  readonly #mostScanned: number;
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #customers: Collection<CustomerDocument>;
  readonly #tenants: Collection<TenantDocument>;

  constructor(deps: QueryDeps, mostScanned: number) {
    this.#deps = deps;
    this.#mostScanned = mostScanned;
    this.#sources = sourcesOf(deps.entities);
    this.#customers = deps.entities.collection(customerCollection);
    this.#tenants = deps.entities.collection(tenantCollection);
  }

  async count(query: unknown, who: Principal, call: CallOptions): Promise<number> {
    const read = readCountQuery(query);
    const candidates = candidatesOf(read.filter, who, this.#sources);
    if (candidates === undefined) return 0;
    const { source, where, ids, keep } = candidates;
    if (read.keyFilters.length === 0 && ids === undefined && keep === undefined)
      return (await source.documents.find({ where, limit: 1 }, call)).total;
    return (await this.#matching(candidates, read, who, call)).length;
  }

  async find(
    query: unknown,
    who: Principal,
    call: CallOptions & { readonly also?: readonly EntityKey[] },
  ): Promise<EntityRows> {
    const read = readDataQuery(query, call.also);
    const candidates = candidatesOf(read.filter, who, this.#sources);
    const matching = candidates === undefined ? [] : await this.#matching(candidates, read, who, call);
    const from = this.#valueSources();
    const found = read.search === "" ? matching : await this.#searched(matching, read, from, call);
    await readValues(found, [read.sort.key], from, call);
    const sorted = sort(found, read);
    const first = read.page * read.pageSize;
    const page = sorted.slice(first, first + read.pageSize);
    await readValues(page, read.columns, from, call);
    return {
      rows: page.map((candidate) => rowOf(candidate, read.columns)),
      totalElements: found.length,
      totalPages: Math.ceil(found.length / read.pageSize),
      hasNext: first + page.length < found.length,
    };
  }

  async #matching(
    { source, where, ids, keep }: Candidates,
    { keyFilters, any }: CountQuery,
    who: Principal,
    call: CallOptions,
  ): Promise<Candidate[]> {
    const candidates: Candidate[] = [];
    for await (const document of this.#documents(source, { where, ids }, call))
      if (keep === undefined || keep(document)) candidates.push({ source, document, values: new Map() });
    if (keyFilters.length === 0) return candidates;
    const tests: { readonly name: string; readonly test: Test }[] = [];
    for (const { key, predicate } of keyFilters)
      tests.push({
        name: nameOf(key),
        test: await readPredicate(predicate, (dynamic) => this.#resolve(dynamic, who, call)),
      });
    await readValues(
      candidates,
      keyFilters.map(({ key }) => key),
      this.#valueSources(),
      call,
    );
    return candidates.filter(({ values }) => {
      const holds = ({ name, test }: (typeof tests)[number]) => test(values.get(name)?.value);
      return any ? tests.some(holds) : tests.every(holds);
    });
  }

  async *#documents(
    source: Source,
    { where, ids }: Pick<Candidates, "where"> & { readonly ids: Candidates["ids"] | undefined },
    call: CallOptions,
  ) {
    if (ids !== undefined) {
      const found = await source.documents.get(ids.slice(0, this.#mostScanned), call);
      for (const stored of found) if (stored !== undefined && fits(stored.value, where)) yield stored.value;
      return;
    }
    const sort = { by: "createdTime", order: "desc" } as const;
    for (let page = 0; page * batch < this.#mostScanned; page++) {
      const { items } = await source.documents.find({ where, sort, page, limit: batch }, call);
      for (const { value } of items) yield value;
      if (items.length < batch) return;
    }
  }

  /** Those that have the text in any selected column (rest-semantics 10.8). */
  async #searched(
    candidates: readonly Candidate[],
    { search, columns }: DataQuery,
    from: ValueSources,
    call: CallOptions,
  ): Promise<Candidate[]> {
    const searched = columns.filter(({ type, key }) => type !== "ENTITY_FIELD" || key !== "additionalInfo");
    await readValues(candidates, searched, from, call);
    return candidates.filter(({ values }) =>
      searched.some((key) => {
        const value = values.get(nameOf(key))?.value;
        return value !== undefined && valueText(value).toLowerCase().includes(search);
      }),
    );
  }

  /** A server attribute of the caller, its customer or its tenant (rest-semantics 10.7). */
  async #resolve(
    { sourceType, sourceAttribute, inherit }: DynamicValue,
    who: Principal,
    call: CallOptions,
  ): Promise<Value | undefined> {
    const chain = [
      { entityType: "USER", id: who.userId },
      { entityType: "CUSTOMER", id: who.customerId },
      { entityType: "TENANT", id: who.tenantId },
    ];
    const first = ["CURRENT_USER", "CURRENT_CUSTOMER", "CURRENT_TENANT"].indexOf(sourceType);
    if (first === -1) return undefined;
    for (const entity of chain.slice(first, inherit ? undefined : first + 1)) {
      const [found] = await this.#deps.attributes.get(entity, "SERVER_SCOPE", [sourceAttribute], call);
      if (found !== undefined) return found.value;
    }
    return undefined;
  }

  #valueSources(): ValueSources {
    const { attributes, series, world } = this.#deps;
    const names = new Map<string, Promise<string>>();
    const titleOf = async (
      { entityType, id }: { readonly entityType: string; readonly id: string },
      call: CallOptions,
    ) => {
      const [found] = await (entityType === "CUSTOMER" ? this.#customers : this.#tenants).get([id], call);
      return found?.value.title ?? "";
    };
    return {
      attributes,
      series,
      now: world.now(),
      ownerName(owner, call) {
        const known = names.get(owner.id) ?? titleOf(owner, call);
        names.set(owner.id, known);
        return known;
      },
    };
  }
}

function rowOf({ source, document, values }: Candidate, columns: readonly EntityKey[]): EntityRow {
  const latest: Record<string, Record<string, { ts: number; value: string }>> = {};
  for (const key of columns) {
    const { ts, value } = values.get(nameOf(key)) ?? { ts: 0, value: undefined };
    latest[key.type] ??= {};
    (latest[key.type] as Record<string, object>)[key.key] = { ts, value: value === undefined ? "" : valueText(value) };
  }
  return { entity: { entityType: source.entityType, id: document.id }, tenantId: source.tenantOf(document), latest };
}

/** Numbers first, by value, then texts; without a value last when ascending and first when descending; ties by id. */
function sort(candidates: readonly Candidate[], { sort: { key, descending } }: DataQuery): Candidate[] {
  const name = nameOf(key);
  const rankOf = (value: Value | undefined) =>
    value === undefined ? 2 : typeof value === "boolean" || numberOf(value) !== undefined ? 0 : 1;
  const numeric = (value: Value | undefined) =>
    typeof value === "boolean" ? Number(value) : (numberOf(value as Value) ?? 0);
  const compare = (a: Value | undefined, b: Value | undefined): number => {
    const [left, right] = [rankOf(a), rankOf(b)];
    if (left !== right) return left - right;
    if (left === 0) return numeric(a) - numeric(b);
    if (left === 2) return 0;
    const [one, two] = [valueText(a as Value), valueText(b as Value)];
    return one < two ? -1 : one > two ? 1 : 0;
  };
  const turn = descending ? -1 : 1;
  return [...candidates].sort(
    (a, b) =>
      turn * compare(a.values.get(name)?.value, b.values.get(name)?.value) || (a.document.id < b.document.id ? -1 : 1),
  );
}
