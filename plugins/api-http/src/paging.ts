import { invalid, type Page, type Query, type Static, type Stored, Type } from "@heddle/plugin-sdk";

/** Rows of a page at most; larger wishes get this many (rest-semantics 10.10). */
const mostRows = 10_000;

const pageFields = {
  textSearch: Type.Optional(Type.String()),
  sortProperty: Type.Optional(Type.String()),
  sortOrder: Type.Optional(Type.String()),
};
export const PageFields = { pageSize: Type.Integer(), page: Type.Integer(), ...pageFields };
export const PageQuery = Type.Object(PageFields);
/** Where another form of the operation needs no page. */
export const MaybePageFields = {
  pageSize: Type.Optional(Type.Integer()),
  page: Type.Optional(Type.Integer()),
  ...pageFields,
};

interface Paging {
  readonly pageSize?: number | undefined;
  readonly page?: number | undefined;
  readonly textSearch?: string | undefined;
  readonly sortProperty?: string | undefined;
  readonly sortOrder?: string | undefined;
}

export interface PageRules {
  /** Columns of the text search (rest-semantics 5.4). */
  readonly search: readonly string[];
  /** Sortable properties; a value is the stored field where the name differs. */
  readonly sort: Readonly<Record<string, string>>;
}

/** The store's query for a page; faults with the texts of rest-semantics 5.2. */
export function pageOf(
  paging: Static<typeof PageQuery> | Paging,
  rules: PageRules,
): Omit<Query, "where"> & { page: number } {
  const { pageSize, page, textSearch, sortProperty, sortOrder } = paging;
  if (pageSize === undefined) throw invalid("Required request parameter 'pageSize' is not present");
  if (page === undefined) throw invalid("Required request parameter 'page' is not present");
  if (pageSize < 1) {
    throw invalid(`Incorrect page link page size '${pageSize}'. Page size must be greater than zero.`);
  }
  if (page < 0) throw invalid(`Incorrect page link page '${page}'. Page must be positive integer.`);
  const order = sortOrder === undefined || sortOrder === "" ? "ASC" : sortOrder.toUpperCase();
  if (order !== "ASC" && order !== "DESC") {
    throw invalid(`Unsupported sort order '${sortOrder}'! Only 'ASC' or 'DESC' types are allowed.`);
  }
  const by = sortField(sortProperty, rules);
  return {
    limit: Math.min(pageSize, mostRows),
    page,
    sort: { by: by ?? "createdTime", order: order === "ASC" ? "asc" : "desc" },
    ...(textSearch === undefined || textSearch === "" ? {} : { search: { text: textSearch, fields: rules.search } }),
  };
}

function sortField(property: string | undefined, { sort }: PageRules): string | undefined {
  if (property === undefined || property === "") return undefined;
  if (!/^[\w.-]+$/.test(property)) throw invalid("Invalid sort property");
  if (!Object.hasOwn(sort, property)) throw invalid(`Cannot sort by '${property.slice(0, 60)}'`);
  return sort[property];
}

/** rest-semantics 5.1. */
export function pageView<T>(
  page: { readonly items: readonly T[]; readonly total: number },
  query: { limit: number; page: number },
) {
  const totalPages = Math.ceil(page.total / query.limit);
  return { data: page.items, totalPages, totalElements: page.total, hasNext: query.page + 1 < totalPages };
}

export function viewPage<T, V>(page: Page<T>, query: { limit: number; page: number }, view: (stored: Stored<T>) => V) {
  return pageView({ items: page.items.map(view), total: page.total }, query);
}
