import type { FeedInterest, FeedUpdate, Scope } from "@heddle/plugin-sdk";

type Keys = readonly string[] | "all";

/** Which keys of what a subscriber wants. */
export interface Wanted {
  readonly series?: Keys;
  readonly attributes?: Readonly<Partial<Record<Scope, Keys>>>;
}

export function wantedOf({ series, attributes }: FeedInterest): Wanted {
  return { ...(series === undefined ? {} : { series }), ...(attributes === undefined ? {} : { attributes }) };
}

/** The part of an update that is wanted; undefined when none is. */
export function select(wanted: Wanted, update: FeedUpdate): FeedUpdate | undefined {
  const keys = update.scope === undefined ? wanted.series : wanted.attributes?.[update.scope];
  if (keys === undefined) return undefined;
  if (keys === "all") return update;
  const changes = update.changes.filter(({ key }) => keys.includes(key));
  if (changes.length === 0) return undefined;
  return changes.length === update.changes.length ? update : { ...update, changes };
}
