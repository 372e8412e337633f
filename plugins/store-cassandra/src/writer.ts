import type { CassandraSession } from "@heddle/cassandra-driver";
import { type Plain, type PutItem, readTypedJson, type Stored, writeTypedJson } from "@heddle/plugin-sdk";
import { Claims } from "./claims.ts";
import { type DocumentRow, Documents, type NextRow } from "./documents.ts";
import { Entries } from "./entries.ts";
import { fault } from "./faults.ts";
import { type Layout, type Place, without } from "./layout.ts";

/** A change of one document: from what is stored to the next, or why not. */
type Change = (row: DocumentRow) => Pick<NextRow, "version" | "body"> | undefined;

interface Claimed {
  readonly places: Place[];
  /** The greatest of their stamps. */
  stamp: number;
}

/** Writers that are overtaken so often give up. */
const mostTries = 100;
const pauseMs = 5;

export const parse = (body: string): unknown => readTypedJson(body);

/** Writes one document with its claims and entries; see `claims.ts` and `entries.ts` for the order of things. */
export class Writer {
  readonly documents: Documents;
  readonly entries: Entries;
  readonly claims: Claims;
  readonly #session: CassandraSession;

  constructor(session: CassandraSession) {
    this.#session = session;
    this.documents = new Documents(session);
    this.entries = new Entries(session);
    this.claims = new Claims(session, this.documents, parse);
  }

  async put<T extends object>(
    layout: Layout<T>,
    { value, expect }: PutItem<T>,
    signal: AbortSignal,
  ): Promise<Stored<T>> {
    const id = idOf(layout, value);
    const body = writeTypedJson(value as unknown as Plain);
    const row = await this.#change(layout, id, {
      signal,
      change: ({ version }) => {
        if (expect !== "any" && expect !== (version === 0 ? "absent" : version)) {
          const code = expect === "absent" ? "store.exists" : "store.conflict";
          throw fault(code, `${layout.name} ${id} has version ${version === 0 ? "none" : version}, not ${expect}`);
        }
        return { version: version + 1, body };
      },
    });
    return { value, version: (row as NextRow).version };
  }

  /** False when there was none. */
  async remove(layout: Layout<any>, id: string, signal: AbortSignal): Promise<boolean> {
    const change: Change = ({ version }) => (version === 0 ? undefined : { version: 0, body: undefined });
    return (await this.#change(layout, id, { signal, change })) !== undefined;
  }

  /** Settles the entries of a document anew and drops those at `garbage`; nothing happens when it changes meanwhile. */
  async repair(
    layout: Layout<any>,
    id: string,
    how: { garbage: readonly Place[]; signal: AbortSignal },
  ): Promise<void> {
    const before = await this.documents.read(layout.name, id, { signal: how.signal, settled: true });
    const stamp = this.documents.stampAfter(before);
    if (!(await this.documents.fence({ collection: layout.name, id, before }, stamp, how.signal))) return;
    const settled = layout.places(valueIn(before));
    await this.entries.settle(
      { collection: layout.name, id },
      { settled, dropped: without(how.garbage, settled), row: { ...before, stamp }, signal: how.signal },
    );
  }

  async #change(
    layout: Layout<any>,
    id: string,
    how: { readonly change: Change; readonly signal: AbortSignal },
  ): Promise<NextRow | undefined> {
    const claimed: Claimed = { places: [], stamp: 0 };
    const { world } = this.#session.parts;
    const { signal } = how;
    try {
      for (let tries = 0; tries < mostTries; tries++) {
        const before = await this.documents.read(layout.name, id, { signal });
        const next = how.change(before);
        if (next === undefined) return undefined;
        const row = { ...next, stamp: this.documents.stampAfter(before) };
        if (await this.#try(layout, { id, before, row, claimed }, signal)) return row;
        await world.sleep(pauseMs * world.random() * Math.min(tries + 1, 20), signal);
      }
      throw fault("store.contended", `${layout.name} ${id} was changed by others ${mostTries} times`);
    } catch (error) {
      // The call's own failure is what its caller has to know; claims that stay are taken over when somebody wants them.
      if (claimed.places.length > 0) {
        await this.claims.abandon(claimed.places, { layout, id, stamp: claimed.stamp, signal }).catch(() => undefined);
      }
      throw error;
    }
  }

  async #try(
    layout: Layout<any>,
    at: { readonly id: string; readonly before: DocumentRow; readonly row: NextRow; readonly claimed: Claimed },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { id, before, row, claimed } = at;
    const [old, value] = [valueIn(before), valueIn(row)];
    const claimant = { layout, id, stamp: row.stamp, signal };
    for (const place of without(layout.claims(value), layout.claims(old))) {
      claimed.stamp = Math.max(claimed.stamp, await this.claims.take(place, claimant));
      claimed.places.push(place);
    }
    const [from, to] = [layout.places(old), layout.places(value)];
    const places = [...from, ...without(to, from)];
    await this.entries.mark(layout.name, id, { places, stamp: row.stamp, signal });
    if (!(await this.documents.replace({ collection: layout.name, id, before }, row, signal))) return false;
    const gone = without(layout.claims(old), layout.claims(value));
    // The document is written. What cannot be tidied now stays marked, or is taken over: readers see the truth either way.
    await Promise.allSettled([
      this.entries.settle({ collection: layout.name, id }, { settled: to, dropped: without(from, to), row, signal }),
      this.claims.release(gone, claimant),
    ]);
    return true;
  }
}

const valueIn = ({ body }: { readonly body: string | undefined }): unknown =>
  body === undefined ? undefined : parse(body);

export function idOf<T extends object>({ name, id: field }: Layout<T>, value: T): string {
  const id = (value as Record<string, unknown>)[field];
  if (typeof id === "string" && id !== "") return id;
  throw fault("store.invalid", `a document of ${name} has no text in its field ${field}`);
}
