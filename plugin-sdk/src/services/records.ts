import { type BatchFault, Fault, isFault } from "../fault.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { Collection, Page, PutItem, Query, Stored } from "../spi/entities.ts";

/** Reading the documents of one kind. */
export interface Records<T> {
  get(id: string, call: CallOptions): Promise<Stored<T> | undefined>;
  /** Those that exist, in the order of the ids. */
  many(ids: readonly string[], call: CallOptions): Promise<Stored<T>[]>;
  find(query: Query, call: CallOptions): Promise<Page<T>>;
}

/**
 * What a caller wants stored: without an id a new document, else the whole new content of an existing one. With a
 * `version` only if nobody has changed it since.
 */
export type Draft<T> = Partial<T> & { readonly version?: number | null };

export function recordsOf<T extends object>(collection: Collection<T>): Records<T> {
  return {
    get: async (id, call) => (await collection.get([id], call))[0],
    many: async (ids, call) => (await collection.get(ids, call)).filter((found) => found !== undefined),
    find: (query, call) => collection.find(query, call),
  };
}

/** Writes one document; the fault is that of the document, not of the batch. */
export async function putOne<T extends object>(
  collection: Collection<T>,
  item: PutItem<T>,
  call: CallOptions,
): Promise<Stored<T>> {
  try {
    const [stored] = await collection.put([item], call);
    return stored as Stored<T>;
  } catch (error) {
    throw (isFault(error) ? (error as Partial<BatchFault>).failures?.[0]?.fault : undefined) ?? error;
  }
}

/** Attempts against others who write the same document. */
const mostAttempts = 10;

/**
 * Stores what `change` makes of the newest content; undefined where there is none. Fault `record.conflict` when a version
 * is expected that is no longer the newest.
 */
export async function change<T extends object>(
  collection: Collection<T>,
  what: {
    readonly id: string;
    /** Name of the kind for the message, such as `Device`. */
    readonly kind: string;
    readonly version?: number | null | undefined;
    to(current: Stored<T>): T | Promise<T>;
  },
  call: CallOptions,
): Promise<{ readonly before: Stored<T>; readonly after: Stored<T> } | undefined> {
  for (let attempt = 1; ; attempt++) {
    const [before] = await collection.get([what.id], call);
    if (before === undefined) return undefined;
    if (typeof what.version === "number" && what.version < before.version) throw conflict(what.kind);
    try {
      const value = await what.to(before);
      return { before, after: await putOne(collection, { value, expect: before.version }, call) };
    } catch (error) {
      if (!isFault(error) || error.code !== "store.conflict") throw error;
      if (typeof what.version === "number" || attempt === mostAttempts) throw conflict(what.kind);
    }
  }
}

function conflict(kind: string): Fault {
  return new Fault("conflict", "record.conflict", `${kind} was already changed by someone else`);
}

/** The field list that another document claims already, if that is what the error says. */
export function takenFields(error: unknown): readonly string[] | undefined {
  if (!isFault(error) || error.code !== "store.unique") return undefined;
  return (error.data?.["fields"] as readonly string[] | undefined) ?? [];
}

/** Documents that match, in batches, until none is left: whoever reads a batch must see to it that it no longer matches. */
export async function* batchesOf<T extends object>(
  records: Pick<Records<T>, "find">,
  where: NonNullable<Query["where"]>,
  call: CallOptions,
): AsyncGenerator<readonly Stored<T>[]> {
  for (;;) {
    const { items } = await records.find({ where, limit: 500 }, call);
    if (items.length === 0) return;
    yield items;
  }
}

/** What to do about a name that is taken (rest-semantics 6.7). */
export interface NameConflict {
  readonly policy: "FAIL" | "UNIQUIFY";
  readonly separator?: string;
  readonly strategy?: "RANDOM" | "INCREMENTAL";
}

/** Names tried in vain before giving up. */
const mostNames = 10_000;

/** The names to try, one after the other, while they are taken. */
export function* namesToTry(name: string, conflict: NameConflict | undefined, uuid: () => string): Generator<string> {
  yield name;
  if (conflict?.policy !== "UNIQUIFY") return;
  const { separator = "_", strategy = "RANDOM" } = conflict;
  for (let tried = 1; tried < mostNames; tried++) {
    yield `${name}${separator}${strategy === "INCREMENTAL" ? tried : uuid().slice(0, 8)}`;
  }
}
