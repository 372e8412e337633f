import {
  type AttributeStore,
  type CallOptions,
  type EntityKey,
  type EntityKeyType,
  type Scope,
  scopes,
  type TimeseriesStore,
  type Value,
} from "@heddle/plugin-sdk";
import type { Document, Source } from "./sources.ts";

/** An entity on its way to becoming a row; values that have been read are kept. */
export interface Candidate {
  readonly source: Source;
  readonly document: Document;
  readonly values: Map<string, Found>;
}
export interface Found {
  readonly ts: number;
  readonly value: Value | undefined;
}

export interface ValueSources {
  readonly attributes: AttributeStore;
  readonly series: TimeseriesStore;
  /** Title of a customer or a tenant. */
  ownerName(owner: { readonly entityType: string; readonly id: string }, call: CallOptions): Promise<string>;
  readonly now: number;
}

export const nameOf = ({ type, key }: EntityKey): string => `${type}/${key}`;
const scopeOf: Readonly<Partial<Record<EntityKeyType, Scope>>> = {
  CLIENT_ATTRIBUTE: "CLIENT_SCOPE",
  SHARED_ATTRIBUTE: "SHARED_SCOPE",
  SERVER_ATTRIBUTE: "SERVER_SCOPE",
};
const missing: Found = { ts: 0, value: undefined };
/** Entities whose values are read at the same time. */
const atOnce = 50;

/** Reads the keys of all candidates that have not been read yet. */
export async function readValues(
  candidates: readonly Candidate[],
  keys: readonly EntityKey[],
  from: ValueSources,
  call: CallOptions,
): Promise<void> {
  for (let at = 0; at < candidates.length; at += atOnce)
    await Promise.all(candidates.slice(at, at + atOnce).map((candidate) => readOne(candidate, keys, from, call)));
}

async function readOne(
  candidate: Candidate,
  keys: readonly EntityKey[],
  from: ValueSources,
  call: CallOptions,
): Promise<void> {
  const { values, document, source } = candidate;
  const wanted = keys.filter((key) => !values.has(nameOf(key)));
  const entity = { entityType: source.entityType, id: document.id };
  const of = (type: EntityKeyType) => wanted.filter((key) => key.type === type).map(({ key }) => key);
  const series = of("TIME_SERIES");
  if (series.length > 0)
    for (const { key, ts, value } of await from.series.latest(entity, series, call))
      values.set(`TIME_SERIES/${key}`, { ts, value });
  for (const [type, scope] of Object.entries(scopeOf) as [EntityKeyType, Scope][]) {
    const attributes = of(type);
    if (attributes.length === 0) continue;
    for (const { key, value, lastUpdateTs } of await from.attributes.get(entity, scope, attributes, call))
      values.set(`${type}/${key}`, { ts: lastUpdateTs, value });
  }
  const any = of("ATTRIBUTE");
  if (any.length > 0)
    for (const scope of scopes)
      for (const { key, value, lastUpdateTs } of await from.attributes.get(entity, scope, any, call))
        if (lastUpdateTs >= (values.get(`ATTRIBUTE/${key}`)?.ts ?? 0))
          values.set(`ATTRIBUTE/${key}`, { ts: lastUpdateTs, value });
  for (const field of of("ENTITY_FIELD"))
    values.set(`ENTITY_FIELD/${field}`, { ts: from.now, value: await fieldOf(candidate, field, from, call) });
  for (const key of wanted) if (!values.has(nameOf(key))) values.set(nameOf(key), missing);
}

/** A field of rest-semantics 10.5; the empty text where there is none. */
async function fieldOf(
  { source, document }: Candidate,
  field: string,
  from: ValueSources,
  call: CallOptions,
): Promise<Value> {
  const text = (member: string): string => {
    const value = document[member];
    if (value === null || value === undefined) return "";
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  };
  switch (field) {
    case "id":
    case "createdTime":
      return document[field];
    case "entityType":
      return source.entityType;
    case "displayName":
      return text("label") === "" ? text(source.name) : text("label");
    case "ownerType":
      return ownerOf(source, document).entityType;
    case "ownerName":
      return from.ownerName(ownerOf(source, document), call);
    case "name":
    case "title":
      return text(source.name);
    case "label":
      return source.entityType === "USER" ? text(source.name) : text("label");
    default:
      return source.fields.includes(field) ? text(field) : "";
  }
}

function ownerOf(source: Source, document: Document): { readonly entityType: string; readonly id: string } {
  const customer = document["customerId"];
  if (typeof customer === "string") return { entityType: "CUSTOMER", id: customer };
  return { entityType: "TENANT", id: source.tenantOf(document) };
}
