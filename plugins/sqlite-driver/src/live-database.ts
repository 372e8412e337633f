import { classify, closeDatabase, type Database, type DatabasePlace, isDiskFailure } from "./database.ts";
import { WorkerTrouble } from "./trouble.ts";

/**
 * A database and what is built on it. A handle whose disk has failed serves reads but no write: before the next one the
 * log must be durable again, and both are made anew.
 */
export class LiveDatabase<E> {
  readonly #place: DatabasePlace;
  readonly #build: (database: Database) => E;
  #open: { readonly database: Database; readonly engine: E } | undefined;
  #suspect = false;

  constructor(place: DatabasePlace, build: (database: Database) => E) {
    this.#place = place;
    this.#build = build;
  }

  /** For reads; opens when nothing is open. */
  get engine(): E {
    this.#open ??= this.#begin();
    return this.#open.engine;
  }

  /** Runs a read. */
  read<T>(work: (engine: E) => T): T {
    return this.#watched(() => work(this.engine));
  }

  /** Runs a write; throws before it begins while the disk still fails. */
  write<T>(work: (engine: E, database: Database) => T): T {
    return this.#watched(() => {
      if (this.#suspect) this.#renew();
      const { engine } = this;
      return work(engine, (this.#open as { database: Database }).database);
    });
  }

  /** The engine if there is one now. */
  get opened(): E | undefined {
    return this.#open?.engine;
  }

  close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) closeDatabase(open.database);
  }

  #watched<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (isDiskFailure(error)) this.#suspect = true;
      throw error;
    }
  }

  #renew(): void {
    // While this fails the old handle stays, for reads.
    this.#place.renewLog();
    this.close();
    this.#open = this.#begin();
    this.#suspect = false;
  }

  #begin(): { readonly database: Database; readonly engine: E } {
    const database = this.#place.open();
    try {
      return { database, engine: this.#build(database) };
    } catch (error) {
      closeDatabase(database);
      throw error;
    }
  }
}

/** For work that spans turns of the loop: its engine may be closed meanwhile. */
export function asInterrupted(error: unknown): unknown {
  if (classify(error) !== "defect") return error;
  return new WorkerTrouble("disk", "the database was opened anew meanwhile");
}
