import { invalid, type Principal, type Query } from "@heddle/plugin-sdk";
import { type EntityFilter, refOf, textOf, textsOf } from "./query.ts";
import type { Document, Source } from "./sources.ts";

/** Which documents of which kind a filter means, before key filters. */
export interface Candidates {
  readonly source: Source;
  /** Only these; absent where the filter names none. */
  readonly ids?: readonly string[];
  readonly where: NonNullable<Query["where"]>;
  /** What the store cannot be asked; absent where it says everything. */
  readonly keep?: (document: Document) => boolean;
}

/** Kinds that do not exist here: nothing is found, as in a tenant without any. */
const none = new Set([
  "assetType",
  "entityViewType",
  "edgeType",
  "assetSearchQuery",
  "entityViewSearchQuery",
  "edgeSearchQuery",
  "apiUsageState",
]);

/** Undefined: the filter matches nothing that the caller may see (rest-semantics 10.2, 10.3, 10.11). */
export function candidatesOf(
  filter: EntityFilter,
  who: Principal,
  sources: ReadonlyMap<string, Source>,
): Candidates | undefined {
  const of = (entityType: string, more: Pick<Candidates, "ids"> & Partial<Candidates> = {}): Candidates | undefined => {
    if (entityType === "") throw invalid("Entity type is required");
    const source = sources.get(entityType);
    const visible = source?.visible(who);
    if (source === undefined || visible === undefined) return undefined;
    return { ...more, source, where: { ...more.where, ...visible } };
  };
  switch (filter.type) {
    case "singleEntity": {
      const { entityType, id } = resolveAlias(refOf(filter, "singleEntity"), who);
      return of(entityType, { ids: [id.toLowerCase()] });
    }
    case "entityList":
      return of(textOf(filter, "entityType"), { ids: textsOf(filter, "entityList").map((id) => id.toLowerCase()) });
    case "entityType":
      return of(textOf(filter, "entityType"));
    case "entityName":
      return named(of(textOf(filter, "entityType")), textOf(filter, "entityNameFilter"));
    case "deviceType": {
      const single = textOf(filter, "deviceType");
      const types = [...textsOf(filter, "deviceTypes"), ...(single === "" ? [] : [single])];
      const where = types.length === 0 ? {} : { type: { in: types } };
      return named(of("DEVICE", { where }), textOf(filter, "deviceNameFilter"));
    }
    default:
      if (none.has(filter.type)) return undefined;
      throw invalid(`Entity filter: there is no type '${filter.type.slice(0, 40)}' here`);
  }
}

/** Whether a document that was found by its id is among those of `where`. */
export function fits(document: Document, where: Candidates["where"]): boolean {
  return Object.entries(where).every(([member, condition]) => {
    const value = document[member] ?? null;
    if (typeof condition !== "object" || condition === null) return value === condition;
    return "in" in condition && condition.in.includes(value as string);
  });
}

/** Names that begin with a text, or are LIKE it where it has a %; case does not matter. */
function named(candidates: Candidates | undefined, filter: string): Candidates | undefined {
  if (candidates === undefined || filter === "") return candidates;
  const { name } = candidates.source;
  const wanted = filter.toLowerCase();
  const matches = wanted.includes("%") ? like(wanted) : (text: string) => text.startsWith(wanted);
  return { ...candidates, keep: (document) => matches(String(document[name] ?? "").toLowerCase()) };
}

/** Without backtracking: the parts between the % have to follow each other. */
function like(pattern: string): (text: string) => boolean {
  const parts = pattern.split("%");
  const first = parts[0] ?? "";
  const last = parts.at(-1) ?? "";
  return (text) => {
    if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
    let at = first.length;
    for (const part of parts.slice(1, -1)) {
      const found = text.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return at <= text.length - last.length;
  };
}

function resolveAlias(ref: { readonly entityType: string; readonly id: string }, who: Principal): typeof ref {
  const customer = who.authority === "CUSTOMER_USER";
  switch (ref.entityType) {
    case "CURRENT_CUSTOMER":
      return { entityType: "CUSTOMER", id: customer ? who.customerId : ref.id };
    case "CURRENT_TENANT":
      return { entityType: "TENANT", id: who.tenantId };
    case "CURRENT_USER":
      return { entityType: "USER", id: who.userId };
    case "CURRENT_USER_OWNER":
      return customer ? { entityType: "CUSTOMER", id: who.customerId } : { entityType: "TENANT", id: who.tenantId };
    default:
      return ref;
  }
}
