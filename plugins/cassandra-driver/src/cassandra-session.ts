import { abortable, type Health, isFault } from "@heddle/plugin-sdk";
import type { Client, types } from "cassandra-driver";
import { levelsOf, loadDriver, makeClient } from "./client.ts";
import { WriteClock } from "./clock.ts";
import { fault, faultOf } from "./faults.ts";
import { Gate } from "./gate.ts";
import { Migration, type SchemaPlan } from "./migrate.ts";
import { contactPointsOf, type SessionConfig, type SessionParts } from "./settings.ts";

/** CQL that is prepared once, and what faults call it. */
export interface Statement {
  readonly purpose: string;
  readonly cql: string;
}

/** One page of rows; 64-bit numbers come as the driver's `Long`. */
export type ResultPage = types.ResultSet;

export interface Batched {
  readonly statement: Statement;
  readonly params: readonly unknown[];
}

export interface Run {
  readonly signal: AbortSignal;
  /** Rows a page; a page state from the result before leads to the next. */
  readonly page?: { readonly rows: number; readonly state?: string | undefined };
  /** A conditional write (lightweight transaction): never sent twice by itself. */
  readonly conditional?: boolean;
  /** Read at the serial level: what a conditional write of unknown outcome did is settled by it. */
  readonly serial?: boolean;
}

/** Waits between attempts to reach Cassandra at a start. */
const firstPauseMs = 250;
const longestPauseMs = 5_000;

/** One connection pool to the cluster, with a bound on what is under way and faults that say what was wanted. */
export class CassandraSession {
  readonly clock: WriteClock;
  readonly config: SessionConfig;
  readonly parts: SessionParts;
  readonly #plan: SchemaPlan;
  readonly #gate: Gate;
  readonly #where: string;
  #client: Client | undefined;
  #starting: Promise<void> | undefined;
  #serial = 0;

  constructor(config: SessionConfig, parts: SessionParts, plan: SchemaPlan) {
    this.config = config;
    this.parts = parts;
    this.clock = new WriteClock(parts.world);
    this.#plan = plan;
    this.#gate = new Gate(config.maxRequests);
    this.#where =
      `contact points ${contactPointsOf(config).join(", ")}; keyspace ${config.keyspace}; ` +
      `consistency ${config.consistency}; timeout ${config.requestTimeout} ms`;
  }

  /** Tries until Cassandra is there and the tables are; ends early when it refuses us or the signal aborts. */
  start(signal: AbortSignal): Promise<void> {
    this.#starting ??= this.#open(signal).catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  async stop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#starting = undefined;
    await client?.shutdown();
  }

  health(): Health {
    const client = this.#client;
    if (client === undefined) return { state: "down", detail: `not connected (${this.#where})` };
    const hosts = client.hosts.values();
    const up = hosts.filter((host) => host.isUp());
    if (up.length === hosts.length) return { state: "up" };
    const gone = hosts.filter((host) => !host.isUp()).map(({ address }) => address);
    return { state: up.length === 0 ? "down" : "degraded", detail: `not reached: ${gone.join(", ")}` };
  }

  execute(statement: Statement, params: readonly unknown[], run: Run): Promise<ResultPage> {
    return this.#run(statement.purpose, run, (client, readTimeout) =>
      client.execute(statement.cql, params as unknown[], {
        prepare: true,
        readTimeout,
        isIdempotent: run.conditional !== true,
        ...(run.serial === true ? { consistency: this.#serial } : {}),
        ...(run.page === undefined ? {} : { fetchSize: run.page.rows }),
        ...(run.page?.state === undefined ? {} : { pageState: run.page.state }),
      }),
    );
  }

  /** Statements of one partition: they happen together. */
  batch(purpose: string, statements: readonly Batched[], run: Run): Promise<ResultPage> {
    const queries = statements.map(({ statement, params }) => ({ query: statement.cql, params: params as unknown[] }));
    return this.#run(purpose, run, (client, readTimeout) =>
      client.batch(queries, {
        prepare: true,
        logged: false,
        readTimeout,
        isIdempotent: run.conditional !== true,
      }),
    );
  }

  async #run(
    purpose: string,
    { signal }: Run,
    send: (client: Client, timeout: number) => Promise<ResultPage>,
  ): Promise<ResultPage> {
    signal.throwIfAborted();
    const { world, metrics } = this.parts;
    const begun = world.elapsed();
    if (!this.#gate.tryEnter()) await this.#wait(purpose, signal);
    const left = this.config.requestTimeout - (world.elapsed() - begun);
    const client = this.#client;
    if (client === undefined) {
      this.#gate.leave();
      throw fault("store.unavailable", `${purpose}: the session is not open (${this.#where})`);
    }
    const sent = send(client, Math.max(1, Math.floor(left)));
    // The place is taken until the answer is there, even when nobody waits for it any more.
    const settled = sent.finally(() => this.#gate.leave());
    try {
      const result = await abortable(settled, signal);
      metrics.requestSeconds.record((world.elapsed() - begun) / 1_000);
      return result;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      metrics.failedRequests.record(1);
      throw faultOf(error, purpose, this.#where);
    }
  }

  /** For a place among `maxRequests`. */
  async #wait(purpose: string, signal: AbortSignal): Promise<void> {
    const { world, metrics } = this.parts;
    const late = new AbortController();
    using _ = world.timer(this.config.requestTimeout, () => late.abort());
    metrics.waitingRequests.record(this.#gate.waiting + 1);
    try {
      await this.#gate.wait(signal, late.signal);
    } catch {
      signal.throwIfAborted();
      const limit = `none of ${this.config.maxRequests} requests under way ended`;
      throw fault("store.timeout", `${purpose}: ${limit} (${this.#where})`);
    }
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { world, log } = this.parts;
    let said = false;
    for (let pause = firstPauseMs; ; pause = Math.min(longestPauseMs, pause * 2)) {
      signal.throwIfAborted();
      try {
        await abortable(this.#connect(signal), signal);
        if (said) log.info("Cassandra is reached", { contactPoints: contactPointsOf(this.config) });
        return;
      } catch (error) {
        signal.throwIfAborted();
        const trouble = isFault(error) ? error : faultOf(error, "connect", this.#where);
        if (trouble.kind !== "unavailable") throw trouble;
        if (!said) log.warn("Cassandra is not reached; trying on", { trouble: trouble.message });
        said = true;
        await world.sleep(pause, signal);
      }
    }
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const driver = await loadDriver();
    const { config, parts } = this;
    this.#serial = levelsOf(driver, config.consistency).serialConsistency;
    const first = await makeClient(driver, { config, parts });
    let dataCenter: string;
    try {
      await first.connect();
      dataCenter = config.localDataCenter ?? (first.hosts.values()[0]?.datacenter as string);
      await new Migration(first, this.#plan, { config, parts, serial: this.#serial }).run(dataCenter, signal);
    } finally {
      await first.shutdown();
    }
    signal.throwIfAborted();
    const client = await makeClient(driver, { config, parts, dataCenter, keyspace: config.keyspace });
    try {
      await client.connect();
      signal.throwIfAborted();
    } catch (error) {
      await client.shutdown();
      throw error;
    }
    this.#tellChanges(client);
    this.#client = client;
  }

  #tellChanges(client: Client): void {
    client.on("hostDown", ({ address }) => this.parts.log.warn("a Cassandra node is not reached", { address }));
    client.on("hostUp", ({ address }) => this.parts.log.info("a Cassandra node is reached again", { address }));
  }
}
