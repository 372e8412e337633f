import { Fault, type Scope, type Static, scopes, Type } from "@heddle/plugin-sdk";
import { calendarBounds } from "./calendar.ts";
import { listOf, plainFault } from "./operation.ts";

/** Windows of one aggregating query at most, and the shortest that counts (rest-semantics 8.8). */
const mostWindows = 700;
const shortestCounted = 1_000;
const defaultLimit = 100;

const texts = Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())]));
/** `key` may be repeated and may hold commas; `keys` is separated by them (rest-semantics 8.5). */
export const KeysFields = { keys: texts, key: texts };

export function keysOf({
  keys,
  key,
}: {
  readonly keys?: string | string[];
  readonly key?: string | string[];
}): string[] {
  return key === undefined ? listOf(keys) : [key].flat().filter((text) => text !== "");
}

export function scopeOf(text: string): Scope {
  const scope = scopes.find((known) => known === text);
  if (scope === undefined) throw new Fault("invalid", "api.scope", `'${text.slice(0, 60)}' is no attribute scope`);
  return scope;
}

const aggregations = ["NONE", "MIN", "MAX", "AVG", "SUM", "COUNT"] as const;
const intervalTypes = ["MILLISECONDS", "WEEK", "WEEK_ISO", "MONTH", "QUARTER"] as const;
export const SeriesQuery = Type.Object({
  ...KeysFields,
  startTs: Type.Optional(Type.Integer()),
  endTs: Type.Optional(Type.Integer()),
  interval: Type.Optional(Type.Integer()),
  intervalType: Type.Optional(Type.Union(intervalTypes.map((name) => Type.Literal(name)))),
  timeZone: Type.Optional(Type.String({ maxLength: 64 })),
  limit: Type.Optional(Type.Integer()),
  agg: Type.Optional(Type.Union(aggregations.map((name) => Type.Literal(name)))),
  orderBy: Type.Optional(Type.String()),
  useStrictDataTypes: Type.Optional(Type.Boolean()),
});

export interface Range {
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  readonly order: "asc" | "desc";
  readonly aggregate?: { readonly fn: "MIN" | "MAX" | "AVG" | "SUM" | "COUNT"; readonly bounds: readonly number[] };
}

/** The range a history query asks for; faults are plain texts. */
export function rangeOf(
  query: Static<typeof SeriesQuery> & { readonly startTs: number; readonly endTs: number },
): Range {
  const { startTs: from, endTs: to, agg = "NONE", intervalType = "MILLISECONDS", interval = 0 } = query;
  const order = orderOf(query.orderBy);
  const calendar = intervalType !== "MILLISECONDS";
  if (agg === "NONE" || (interval === 0 && !calendar)) {
    const limit = query.limit ?? defaultLimit;
    if (limit < 1) throw plainFault("invalid", "Page size must not be less than one");
    return { from, to, limit, order };
  }
  if (from >= to) return { from, to: from, limit: 1, order };
  const bounds =
    intervalType === "MILLISECONDS"
      ? fixedBounds(from, to, interval)
      : calendarBounds({ from, to }, intervalType, query.timeZone);
  return { from, to, limit: 1, order, aggregate: { fn: agg, bounds } };
}

function orderOf(text = "DESC"): "asc" | "desc" {
  const order = text.toLowerCase();
  if (order === "asc" || order === "desc") return order;
  const hint = "Has to be either 'desc' or 'asc' (case insensitive)";
  throw plainFault("invalid", `Invalid value '${text.slice(0, 60)}' for orders given; ${hint}`);
}

function fixedBounds(from: number, to: number, interval: number): number[] {
  if (interval < 0) {
    const advice =
      "Please check your query parameters and ensure 'endTs' is greater than 'startTs' or increase 'interval'.";
    throw plainFault("invalid", `Invalid TsKvQuery: 'interval' must be greater than 0, but got ${interval}. ${advice}`);
  }
  const windows = Math.trunc((to - from) / Math.max(interval, shortestCounted));
  if (windows > mostWindows) {
    const advice = "Please increase 'interval' parameter for your query or reduce the time range of the query.";
    throw plainFault("invalid", `Incorrect TsKvQuery. Number of intervals is to high - ${windows}. ${advice}`);
  }
  const bounds: number[] = [];
  for (let at = from; at < to; at += interval) bounds.push(at);
  bounds.push(to);
  return bounds;
}
