import type { CassandraSession } from "@heddle/cassandra-driver";
import { ask } from "@heddle/cassandra-driver";
import { sql } from "./tables.ts";

/** A row of `documents`; version 0: removed, or never there (then the stamp is null). */
export interface DocumentRow {
  readonly version: number;
  readonly body: string | undefined;
  readonly stamp: number | null;
  readonly past: readonly number[];
}

/** What is to be stored in its place. */
export interface NextRow {
  readonly version: number;
  /** Absent: removed. */
  readonly body: string | undefined;
  readonly stamp: number;
}

/** Stamps of one document lie at least so far apart: marks and drops of index entries go between. */
export const stampStep = 4;
const rememberedStamps = 8;

/** Documents by id, changed by conditional writes only. */
export class Documents {
  readonly #session: CassandraSession;

  constructor(session: CassandraSession) {
    this.#session = session;
  }

  /** `settled`: also completes or ends what another writer has begun. */
  async read(collection: string, id: string, how: { signal: AbortSignal; settled?: boolean }): Promise<DocumentRow> {
    const run = { signal: how.signal, ...(how.settled === true ? { serial: true } : {}) };
    const row = (await this.#session.execute(sql.readDocument, [collection, id], run)).rows[0];
    return {
      version: row?.["version"] ?? 0,
      body: row?.["body"] ?? undefined,
      stamp: row?.["stamp"]?.toNumber() ?? null,
      past: (row?.["past"] ?? []).map(Number),
    };
  }

  /** A stamp for the row that follows. */
  stampAfter({ stamp }: DocumentRow): number {
    return Math.max(this.#session.clock.next(), (stamp ?? 0) + stampStep);
  }

  /** False when the document is not as `before` says any more. */
  async replace(
    at: { readonly collection: string; readonly id: string; readonly before: DocumentRow },
    { version, body, stamp }: NextRow,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { collection, id, before } = at;
    const past = (before.stamp === null ? before.past : [before.stamp, ...before.past]).slice(0, rememberedStamps);
    const statement = version === 0 ? sql.removeDocument : sql.writeDocument;
    const params = [version, body ?? null, stamp, past, collection, id, before.stamp];
    try {
      return (await this.#session.execute(statement, params, { signal, conditional: true })).wasApplied();
    } catch (error) {
      if (!ask(error) || signal.aborted) throw error;
      // The answer was lost, not necessarily the write: the row says which. If nobody answers now, the fault stands.
      const now = await this.read(collection, id, { signal, settled: true }).catch(() => {
        throw error;
      });
      return now.stamp === stamp || now.past.includes(stamp);
    }
  }

  /** Ends what other writers have begun on this state of the document, and gives it a new stamp; false: too late. */
  fence(
    at: { collection: string; id: string; before: DocumentRow },
    stamp: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { version, body } = at.before;
    return this.replace(at, { version, body, stamp }, signal);
  }
}
