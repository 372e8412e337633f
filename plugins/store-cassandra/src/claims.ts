import { ask, type CassandraSession, each } from "@heddle/cassandra-driver";
import type { Documents } from "./documents.ts";
import { fault } from "./faults.ts";
import { type Layout, nameOf, type Place, samePlace, without } from "./layout.ts";
import { sql } from "./tables.ts";

export interface Claimant {
  readonly layout: Layout<any>;
  readonly id: string;
  /** The stamp that the document is to get. */
  readonly stamp: number;
  readonly signal: AbortSignal;
}

interface ClaimRow {
  readonly owner: string;
  readonly stamp: number;
}

/** A claim whose document does not have the value is its writer's for so long; then it counts as left behind. */
const writerMs = 5_000;
const pauseMs = 15;
/** Looks at one claim before it counts as contended. */
const mostLooks = 400;

/**
 * Unique values. A claim is taken before its document is written and released after the document has let go of it, so a
 * document never has a value without the claim. What is left behind by a writer that ended in between is taken over:
 * first the owner's document gets a new stamp, which ends what its writers have begun, then the claim changes hands,
 * conditional on what was seen. An owner that writes again claims again with a greater stamp, which ends the take-over.
 */
export class Claims {
  readonly #session: CassandraSession;
  readonly #documents: Documents;
  readonly #parse: (body: string) => unknown;

  constructor(session: CassandraSession, documents: Documents, parse: (body: string) => unknown) {
    this.#session = session;
    this.#documents = documents;
    this.#parse = parse;
  }

  async owner(collection: string, place: Place, signal: AbortSignal): Promise<string | undefined> {
    const result = await this.#session.execute(sql.readClaim, key(collection, place), { signal });
    return result.rows[0]?.["owner"] ?? undefined;
  }

  /** Resolves with the claim's stamp when the value is ours; rejects with store.unique when another document has it. */
  async take(place: Place, claimant: Claimant): Promise<number> {
    const { layout, id, stamp, signal } = claimant;
    const { world } = this.#session.parts;
    for (let look = 0; look < mostLooks; look++) {
      const other = await this.#tryTake(place, claimant);
      if (typeof other === "number") return other;
      if (other.owner === id) continue;
      const document = await this.#documents.read(layout.name, other.owner, { signal, settled: true });
      const value = document.body === undefined ? undefined : this.#parse(document.body);
      if (layout.claims(value).some((one) => samePlace(one, place))) {
        const message = `${layout.name} ${id}: ${other.owner} has the same ${place.fields.join(", ")}`;
        throw fault("store.unique", message, { fields: place.fields });
      }
      if (world.now() * 1_000 - other.stamp < writerMs * 1_000) {
        await world.sleep(pauseMs * (1 + world.random()), signal);
        continue;
      }
      const at = { collection: layout.name, id: other.owner, before: document };
      if (!(await this.#documents.fence(at, this.#documents.stampAfter(document), signal))) continue;
      const to = { owner: id, stamp: Math.max(stamp, other.stamp + 1) };
      if (await this.#change(place, { from: other, to }, claimant)) return to.stamp;
    }
    throw fault("store.contended", `${layout.name} ${id}: ${place.fields.join(", ")} was looked at ${mostLooks} times`);
  }

  /** After the document has let go of them; not those that it has claimed again since. */
  release(places: readonly Place[], { layout, id, stamp, signal }: Claimant): Promise<void> {
    return each(places, 8, (place) =>
      this.#session.execute(sql.dropClaim, [...key(layout.name, place), id, stamp], { signal, conditional: true }),
    );
  }

  /**
   * Gives up what was taken for a write that did not happen. Another writer of the same document may rely on it: the new
   * stamp makes that one claim again. If that does not succeed, they are left behind.
   */
  async abandon(taken: readonly Place[], claimant: Claimant): Promise<void> {
    const { layout, id, signal } = claimant;
    const before = await this.#documents.read(layout.name, id, { signal, settled: true });
    const held = layout.claims(before.body === undefined ? undefined : this.#parse(before.body));
    const places = without(taken, held);
    if (places.length === 0) return;
    const at = { collection: layout.name, id, before };
    if (await this.#documents.fence(at, this.#documents.stampAfter(before), signal))
      await this.release(places, claimant);
  }

  /** The claim's stamp when it is ours now, else whose it is. */
  async #tryTake(place: Place, claimant: Claimant): Promise<number | ClaimRow> {
    const { layout, id, stamp, signal } = claimant;
    const params = [...key(layout.name, place), id, stamp];
    let row: Record<string, any> | undefined;
    try {
      const result = await this.#session.execute(sql.putClaim, params, { signal, conditional: true });
      if (result.wasApplied()) return stamp;
      row = result.rows[0];
    } catch (error) {
      if (!ask(error) || signal.aborted) throw error;
      row = await this.#settled(place, claimant);
      if (row === undefined) throw error;
    }
    const seen: ClaimRow = { owner: row?.["owner"], stamp: row?.["stamp"].toNumber() };
    if (seen.owner !== id) return seen;
    // Who took it before for this document may be about to give it up: a greater stamp ends that.
    const to = { owner: id, stamp: Math.max(stamp, seen.stamp + 1) };
    return (await this.#change(place, { from: seen, to }, claimant)) ? to.stamp : seen;
  }

  async #change(
    place: Place,
    { from, to }: { readonly from: ClaimRow; readonly to: ClaimRow },
    claimant: Claimant,
  ): Promise<boolean> {
    const params = [to.owner, to.stamp, ...key(claimant.layout.name, place), from.owner, from.stamp];
    const run = { signal: claimant.signal, conditional: true };
    try {
      return (await this.#session.execute(sql.takeClaim, params, run)).wasApplied();
    } catch (error) {
      if (!ask(error) || claimant.signal.aborted) throw error;
      const now = await this.#settled(place, claimant);
      return now?.["owner"] === to.owner && now?.["stamp"].toNumber() === to.stamp;
    }
  }

  /** After a write whose outcome is not known. */
  async #settled(place: Place, { layout, signal }: Claimant): Promise<Record<string, any> | undefined> {
    return (await this.#session.execute(sql.readClaim, key(layout.name, place), { signal, serial: true })).rows[0];
  }
}

const key = (collection: string, { fields, value }: Place): string[] => [collection, nameOf(fields), value];
