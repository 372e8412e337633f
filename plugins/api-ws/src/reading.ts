import {
  type AggregateFn,
  type AttributeStore,
  type CallOptions,
  type EntityId,
  type Scope,
  scopes,
  type TimeseriesStore,
} from "@heddle/plugin-sdk";
import type { Shown } from "./answers.ts";

const functions: readonly string[] = ["MIN", "MAX", "AVG", "SUM", "COUNT"];
/** Intervals shorter than this count as this long when windows are counted (runtime 12.6). */
const shortestCounted = 1_000;

/** Points of [from, to): raw ones newest first, windows oldest first. Undefined when there would be too many windows. */
export async function readRange(
  series: TimeseriesStore,
  q: {
    readonly entity: EntityId;
    readonly command: {
      readonly keys: readonly string[];
      readonly limit: number;
      readonly agg: string;
      readonly interval: number;
    };
    readonly from: number;
    readonly to: number;
    readonly mostWindows: number;
  },
  call: CallOptions,
): Promise<Shown[] | undefined> {
  const { entity, command, from, to } = q;
  const { keys, limit, agg, interval } = command;
  const range = { entity, keys, from, to, limit, order: "desc" as const };
  const aggregated = functions.includes(agg) && interval > 0;
  if (aggregated && (to - from) / Math.max(interval, shortestCounted) > q.mostWindows) return undefined;
  const query = aggregated
    ? { ...range, aggregate: { fn: agg as AggregateFn, bounds: boundsOf(from, to, interval) } }
    : range;
  const points: Shown[] = [];
  for await (const page of series.range(query, call)) points.push(...page);
  return points;
}

function boundsOf(from: number, to: number, interval: number): number[] {
  const bounds: number[] = [];
  for (let at = from; at < to; at += interval) bounds.push(at);
  bounds.push(Math.max(to, from + 1));
  return bounds;
}

/** In the order in which clients get values of one key from several scopes. */
const everyScope: readonly Scope[] = ["CLIENT_SCOPE", "SERVER_SCOPE", "SHARED_SCOPE"];

/** Scopes that a command means: one, or all of them; undefined for a word that is none. */
export function scopesOf(scope: string): readonly Scope[] | undefined {
  if (scope === "" || scope === "ANY_SCOPE") return everyScope;
  const known = scopes.find((name) => name === scope);
  return known === undefined ? undefined : [known];
}

export async function readAttributes(
  attributes: AttributeStore,
  q: { readonly entity: EntityId; readonly scopes: readonly Scope[]; readonly keys: readonly string[] },
  call: CallOptions,
): Promise<Shown[]> {
  const keys = q.keys.length === 0 ? "all" : q.keys;
  const found = await Promise.all(q.scopes.map((scope) => attributes.get(q.entity, scope, keys, call)));
  return found.flat().map(({ key, value, lastUpdateTs }) => ({ key, value, ts: lastUpdateTs }));
}
