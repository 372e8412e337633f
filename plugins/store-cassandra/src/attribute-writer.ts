import { ask, type Batched, type CassandraSession, encodeValue, Lru } from "@heddle/cassandra-driver";
import type { EntityId, Scope, Value } from "@heddle/plugin-sdk";
import { fault } from "./faults.ts";
import { sql } from "./tables.ts";

export type Change =
  | {
      readonly kind: "put";
      readonly scope: Scope;
      readonly values: Readonly<Record<string, Value>>;
      readonly ts: number;
    }
  | { readonly kind: "remove"; readonly scope: Scope; readonly keys: readonly string[] }
  | { readonly kind: "forget" };

export interface Outcome {
  readonly version: number;
  readonly removed: string[];
}

interface Waiting {
  readonly change: Change;
  readonly signal: AbortSignal;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

/** What is to be in an attribute's place; undefined: nothing. */
type Next = Map<string, { readonly scope: string; readonly key: string; readonly put?: { value: Value; ts: number } }>;

/** Changes of one entity that share a conditional write. */
const mostChanges = 100;
const mostTries = 100;
const pauseMs = 5;
const knownVersions = 100_000;
/** The version of a forgotten entity stays for so long; a version that begins later is greater anyway. */
const forgottenSeconds = 86_400;

/**
 * The version of an entity's attributes is a static column of their partition, changed by the same conditional batch as
 * the attributes: several nodes may write at once, each write is whole, and what has the greatest version stands. The
 * first version is the time in microseconds, so that it also grows when the row is long gone. Changes that arrive while
 * one runs share the next.
 */
export class AttributeWriter {
  readonly #session: CassandraSession;
  readonly #lines = new Map<string, Waiting[]>();
  readonly #versions = new Lru<number | null>(knownVersions);

  constructor(session: CassandraSession) {
    this.#session = session;
  }

  write(entity: EntityId, change: Change, signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const waiting: Waiting = { change, signal, resolve, reject };
      const name = `${entity.entityType}/${entity.id}`;
      const line = this.#lines.get(name);
      if (line !== undefined) return void line.push(waiting);
      const begun = [waiting];
      this.#lines.set(name, begun);
      void this.#work(entity, name, begun);
    });
  }

  async #work(entity: EntityId, name: string, line: Waiting[]): Promise<void> {
    while (line.length > 0) {
      const turn = takeTurn(line);
      const live = turn.filter(({ signal, reject }) => {
        if (signal.aborted) reject(signal.reason);
        return !signal.aborted;
      });
      if (live.length === 0) continue;
      try {
        const outcomes = await this.#commit(entity, name, live);
        for (const [at, { resolve }] of live.entries()) resolve(outcomes[at] as Outcome);
      } catch (error) {
        this.#versions.drop(name);
        for (const { reject } of live) reject(error);
      }
    }
    this.#lines.delete(name);
  }

  async #commit(entity: EntityId, name: string, turn: readonly Waiting[]): Promise<Outcome[]> {
    const changes = turn.map(({ change }) => change);
    // One caller that gives up does not end the write of the others.
    const signal = turn.length === 1 ? (turn[0] as Waiting).signal : new AbortController().signal;
    const { world } = this.#session.parts;
    const looks = changes.some(({ kind }) => kind !== "put");
    let version = looks ? undefined : this.#versions.get(name);
    for (let tries = 0; tries < mostTries; tries++) {
      const existing = looks ? await this.#existing(entity, signal) : undefined;
      if (existing !== undefined) version = existing.version;
      else if (version === undefined) version = await this.#version(entity, { signal });
      const first = (version ?? world.now() * 1_000) + 1;
      const { next, outcomes } = fold(changes, first, existing?.keys ?? new Map());
      const last = first + changes.length - 1;
      const forget = changes.at(-1)?.kind === "forget";
      if (await this.#try(entity, { before: version, version: last, next, forget }, signal)) {
        this.#versions.set(name, last);
        return outcomes;
      }
      version = undefined;
      await world.sleep(pauseMs * world.random() * Math.min(tries + 1, 20), signal);
    }
    throw fault("store.contended", `attributes of ${name} were changed by others ${mostTries} times`);
  }

  /** False when the version was not the one before any more. */
  async #try(
    { entityType, id }: EntityId,
    how: { before: number | null; version: number; next: Next; forget: boolean },
    signal: AbortSignal,
  ): Promise<boolean> {
    const writer = this.#session.parts.world.uuid();
    const owner = [entityType, id];
    const ttl = how.forget ? forgottenSeconds : 0;
    const statements: Batched[] = [
      { statement: sql.nextVersion, params: [ttl, how.version, writer, ...owner, how.before] },
    ];
    for (const { scope, key, put } of how.next.values()) {
      const row = [...owner, scope, key];
      if (put === undefined) statements.push({ statement: sql.dropAttribute, params: row });
      else statements.push({ statement: sql.putAttribute, params: [...row, encodeValue(put.value), put.ts] });
    }
    try {
      const run = { signal, conditional: true };
      return (await this.#session.batch(sql.nextVersion.purpose, statements, run)).wasApplied();
    } catch (error) {
      if (!ask(error) || signal.aborted) throw error;
      const { rows } = await this.#session
        .execute(sql.attributeVersion, owner, { signal, serial: true })
        .catch(() => Promise.reject(error));
      // Written over already or not written at all look the same: then it is written once more, as the later one.
      return rows[0]?.["writer"] === writer;
    }
  }

  async #version({ entityType, id }: EntityId, run: { readonly signal: AbortSignal }): Promise<number | null> {
    const { rows } = await this.#session.execute(sql.attributeVersion, [entityType, id], run);
    return rows[0]?.["version"]?.toNumber() ?? null;
  }

  async #existing({ entityType, id }: EntityId, signal: AbortSignal) {
    const keys: Next = new Map();
    let version: number | null = null;
    let state: string | undefined;
    do {
      const page = { rows: 1_000, state };
      const result = await this.#session.execute(sql.attributeKeys, [entityType, id], { signal, page });
      for (const row of result.rows) {
        // The least of the pages: a write between two pages makes the condition fail.
        const seen: number | null = row["version"]?.toNumber() ?? null;
        version = version === null || seen === null ? seen : Math.min(version, seen);
        if (row["key"] !== null) keys.set(nameOf(row["scope"], row["key"]), { scope: row["scope"], key: row["key"] });
      }
      state = result.pageState ?? undefined;
    } while (state !== undefined);
    return { version, keys };
  }
}

const nameOf = (scope: string, key: string): string => `${scope} ${key}`;

/** The changes that go together: a forgetting ends a turn, since what follows must outlive it. */
function takeTurn(line: Waiting[]): Waiting[] {
  const forget = line.findIndex(({ change }) => change.kind === "forget");
  return line.splice(0, Math.min(mostChanges, forget < 0 ? line.length : forget + 1));
}

/** One after the other, each with a version of its own; what remains is written at once. */
function fold(
  changes: readonly Change[],
  first: number,
  existing: Next,
): { readonly next: Next; readonly outcomes: Outcome[] } {
  const next: Next = new Map();
  const there = new Map(existing);
  const outcomes = changes.map((change, at): Outcome => {
    const removed: string[] = [];
    const drop = (name: string, scope: string, key: string) => {
      there.delete(name);
      next.set(name, { scope, key });
    };
    if (change.kind === "put") {
      for (const key in change.values) {
        const one = { scope: change.scope, key, put: { value: change.values[key] as Value, ts: change.ts } };
        there.set(nameOf(change.scope, key), one);
        next.set(nameOf(change.scope, key), one);
      }
    } else if (change.kind === "forget") {
      for (const [name, { scope, key }] of [...there]) drop(name, scope, key);
    } else {
      for (const key of new Set(change.keys)) {
        const name = nameOf(change.scope, key);
        if (!there.has(name)) continue;
        removed.push(key);
        drop(name, change.scope, key);
      }
    }
    return { version: first + at, removed };
  });
  return { next, outcomes };
}
