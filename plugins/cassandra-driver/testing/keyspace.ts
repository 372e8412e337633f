import { realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { loadDriver } from "../src/client.ts";
import type { SessionConfig, SessionParts } from "../src/settings.ts";

const metric = { record: () => undefined };

/** Parts of a session that say nothing. */
export const quietParts = (seed = 1): SessionParts => ({
  // Two sessions of one process must not draw the same ids.
  world: realWorld(seed * 1_000_003 + Math.floor(performance.now() * 1_000)),
  log: silentLog,
  metrics: { requestSeconds: metric, waitingRequests: metric, failedRequests: metric },
});

let made = 0;

/** A keyspace name that no other test has. */
export const freshKeyspace = (name: string): string =>
  `${name}_${process.pid.toString(36)}_${Date.now().toString(36)}_${made++}`;

export const testConfig = (where: string, keyspace: string): SessionConfig => ({
  contactPoints: where,
  keyspace,
  replication: 1,
  consistency: "LOCAL_QUORUM",
  maxRequests: 512,
  requestTimeout: 10_000,
});

/** Runs CQL as nobody else in the suite does: to look at tables, and to drop keyspaces. */
export async function cql(where: string, text: string): Promise<Record<string, any>[]> {
  const driver = await loadDriver();
  const client = new driver.Client({
    contactPoints: where.split(","),
    policies: { loadBalancing: new driver.policies.loadBalancing.RoundRobinPolicy() },
    socketOptions: { readTimeout: 60_000 },
  });
  try {
    return (await client.execute(text)).rows ?? [];
  } finally {
    await client.shutdown();
  }
}

export async function dropKeyspaces(where: string, names: Iterable<string>): Promise<void> {
  for (const name of names) await cql(where, `DROP KEYSPACE IF EXISTS "${name}"`);
}
