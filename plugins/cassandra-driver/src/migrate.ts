import { createHash } from "node:crypto";
import type { Client, types } from "cassandra-driver";
import { fault } from "./faults.ts";
import type { SessionConfig, SessionParts } from "./settings.ts";

/** The tables of one component, as steps from version to version: step n leads from version n to n + 1. */
export interface SchemaPlan {
  /** Name of the component; several share a keyspace. */
  readonly component: string;
  /** CQL of each step; every statement may run twice. */
  readonly steps: readonly (readonly string[])[];
  /** A setting that the stored data depends on; it cannot change later. */
  readonly layout?: string;
}

interface MigrationParts {
  readonly config: SessionConfig;
  readonly parts: SessionParts;
  /** The driver's number of the serial level. */
  readonly serial: number;
}

interface State {
  readonly version: number;
  readonly layout: string | null;
}

/** A holder that is gone loses the lock after so long; each step takes it anew. */
const leaseSeconds = 30;
const pollMs = 100;
/** The loss of one node then neither loses nor stops anything. */
const usualCopies = 3;

/** Makes the keyspace and brings the component's tables to this version; one node at a time does it. */
export class Migration {
  readonly #client: Client;
  readonly #plan: SchemaPlan;
  readonly #config: SessionConfig;
  readonly #parts: SessionParts;
  readonly #serial: number;
  readonly #plain: { readonly prepare: false; readonly readTimeout: number };
  readonly #owner: string;
  readonly #table: string;

  constructor(client: Client, plan: SchemaPlan, at: MigrationParts) {
    this.#client = client;
    this.#plan = plan;
    this.#config = at.config;
    this.#serial = at.serial;
    this.#plain = { prepare: false, readTimeout: at.config.requestTimeout };
    this.#parts = at.parts;
    this.#owner = at.parts.world.uuid();
    this.#table = `"${at.config.keyspace}".heddle_schema`;
  }

  async run(dataCenter: string, signal: AbortSignal): Promise<void> {
    await this.#makeKeyspace(dataCenter);
    const wanted = this.#plan.steps.length;
    for (;;) {
      const state = await this.#state();
      this.#check(state);
      if (state.version === wanted) return;
      if (await this.#takeLock()) {
        try {
          // Another node may have moved on between the look and the lock.
          const { version } = await this.#state();
          for (let step = version; step < wanted; step++) await this.#step(step);
        } finally {
          await this.#releaseLock();
        }
      } else await this.#parts.world.sleep(pollMs, signal);
    }
  }

  /** Two nodes that make a table at once give it two ids, unless the id is said: then they make the same one. */
  async #makeKeyspace(dataCenter: string): Promise<void> {
    const { keyspace, replication } = this.#config;
    const known = await this.#client.execute(
      "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?",
      [keyspace],
    );
    if (known.first() === null) {
      const nodes = this.#client.hosts.values().filter(({ datacenter }) => datacenter === dataCenter).length;
      const copies = replication ?? Math.min(usualCopies, nodes);
      if (nodes < copies) {
        throw fault(
          "store.replication",
          `keyspace ${keyspace}: replication is ${copies}, but data centre ${dataCenter} has ${nodes} nodes; ` +
            "set `replication` to at most that, or add nodes first",
        );
      }
      if (copies < usualCopies)
        this.#parts.log.warn("keyspace made with fewer than three copies", { keyspace, copies, nodes });
      await this.#client.execute(
        `CREATE KEYSPACE IF NOT EXISTS "${keyspace}" WITH replication = ` +
          `{'class': 'NetworkTopologyStrategy', '${dataCenter.replaceAll("'", "''")}': ${copies}}`,
        [],
        this.#plain,
      );
    }
    await this.#client.execute(
      `CREATE TABLE IF NOT EXISTS ${this.#table} (component text PRIMARY KEY, version int, layout text, owner text)` +
        ` WITH id = ${nameUuid(this.#table)}`,
      [],
      this.#plain,
    );
  }

  #check({ version, layout }: State): void {
    const { component, steps, layout: wanted = null } = this.#plan;
    const where = `keyspace ${this.#config.keyspace}, ${component}`;
    if (version > steps.length) {
      throw fault(
        "store.schema-version",
        `${where}: the tables are of version ${version}, this plugin knows ${steps.length}; ` +
          "run the newer version of the plugin, or use another keyspace",
      );
    }
    if (version > 0 && layout !== wanted) {
      throw fault(
        "store.layout",
        `${where}: made with ${layout ?? "no layout"}, configured is ${wanted ?? "none"}; ` +
          "go back to the former setting, or use another keyspace",
      );
    }
  }

  async #state(): Promise<State> {
    const { rows } = await this.#conditional(`SELECT version, layout FROM ${this.#table} WHERE component = ?`, []);
    const row = rows[0];
    return { version: row?.["version"] ?? 0, layout: row?.["layout"] ?? null };
  }

  async #step(step: number): Promise<void> {
    await this.#takeLock();
    for (const cql of this.#plan.steps[step] ?? []) {
      await this.#client.execute(cql.replaceAll("$ks", `"${this.#config.keyspace}"`), [], this.#plain);
    }
    const set = `UPDATE ${this.#table} SET version = ?, layout = ? WHERE component = ?`;
    const done = await this.#conditional(`${set} IF owner = ?`, [step + 1, this.#plan.layout ?? null], [this.#owner]);
    if (!done.wasApplied()) {
      throw fault(
        "store.unavailable",
        `${this.#plan.component}: the lock on the schema was lost after ${leaseSeconds} s`,
      );
    }
    this.#parts.log.info("tables were brought to a version", {
      keyspace: this.#config.keyspace,
      component: this.#plan.component,
      version: step + 1,
    });
  }

  /** True when the lock is ours; taking it again extends it. */
  async #takeLock(): Promise<boolean> {
    const set = `UPDATE ${this.#table} USING TTL ${leaseSeconds} SET owner = ? WHERE component = ?`;
    const taken = await this.#conditional(`${set} IF owner IN (?, ?)`, [this.#owner], [null, this.#owner]);
    return taken.wasApplied();
  }

  async #releaseLock(): Promise<void> {
    await this.#conditional(
      `UPDATE ${this.#table} SET owner = ? WHERE component = ? IF owner = ?`,
      [null],
      [this.#owner],
    );
  }

  #conditional(cql: string, before: readonly unknown[], after: readonly unknown[] = []): Promise<types.ResultSet> {
    // Reads go at the serial level too, so that they settle what an earlier holder began.
    const level = cql.startsWith("SELECT") ? { consistency: this.#serial } : {};
    return this.#client.execute(cql, [...before, this.#plan.component, ...after], {
      ...this.#plain,
      prepare: true,
      ...level,
    });
  }
}

/** A version-5-like uuid of a name. */
function nameUuid(name: string): string {
  const hex = createHash("sha1").update(`heddle ${name}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
