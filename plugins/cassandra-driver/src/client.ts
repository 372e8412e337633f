import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type * as cassandra from "cassandra-driver";
import { contactPointsOf, type SessionConfig, type SessionParts } from "./settings.ts";

export type Driver = typeof cassandra;

/** Loaded when a session opens: it takes longer than everything else at a start that does not use it. */
export async function loadDriver(): Promise<Driver> {
  const loaded = (await import("cassandra-driver")) as unknown as Driver & { readonly default?: Driver };
  return loaded.default ?? loaded;
}

/** A share of the request's time after which another node is asked too, when asking twice does no harm. */
const speculateAfter = 1 / 8;

/** For one connection to be there; a node that takes longer counts as not reached. */
const connectMs = 3_000;

export interface ClientPlan {
  readonly config: SessionConfig;
  readonly parts: SessionParts;
  /** Absent for the client that finds the data centre and makes the keyspace. */
  readonly keyspace?: string;
  readonly dataCenter?: string;
}

export async function makeClient(driver: Driver, plan: ClientPlan): Promise<cassandra.Client> {
  const { config, parts, keyspace, dataCenter } = plan;
  const balancing = driver.policies.loadBalancing;
  const tls = config.tls === undefined ? undefined : await tlsOptions(config.tls);
  const greeting = Math.min(connectMs, config.requestTimeout);
  return new driver.Client({
    contactPoints: contactPointsOf(config),
    ...(keyspace === undefined ? {} : { keyspace }),
    ...(dataCenter === undefined ? {} : { localDataCenter: dataCenter }),
    ...(config.user === undefined
      ? {}
      : { credentials: { username: config.user, password: config.password?.reveal() ?? "" } }),
    ...(tls === undefined ? {} : { sslOptions: tls }),
    policies: {
      loadBalancing:
        dataCenter === undefined
          ? new balancing.RoundRobinPolicy()
          : new balancing.TokenAwarePolicy(new balancing.DCAwareRoundRobinPolicy(dataCenter)),
      reconnection: new driver.policies.reconnection.ExponentialReconnectionPolicy(200, 5_000, true),
      speculativeExecution: new driver.policies.speculativeExecution.ConstantSpeculativeExecutionPolicy(
        Math.max(50, config.requestTimeout * speculateAfter),
        1,
      ),
      retry: retryPolicy(driver),
      addressResolution: translator(driver, parts.translate),
    },
    pooling: { maxRequestsPerConnection: Math.max(2_048, config.maxRequests * 2), heartBeatInterval: 5_000 },
    // What a session sends has limits of its own; this one is for greetings, which the driver waits for even when the
    // connection has been closed meanwhile.
    socketOptions: { connectTimeout: greeting, readTimeout: greeting },
    queryOptions: { ...levelsOf(driver, config.consistency), prepare: true },
  });
}

/** The driver's numbers of the levels of reads and writes, and of the agreement that conditional writes need. */
export function levelsOf({ types: { consistencies } }: Driver, level: SessionConfig["consistency"]) {
  const { localQuorum, quorum, eachQuorum, all, localSerial, serial } = consistencies;
  const levels = { LOCAL_QUORUM: localQuorum, QUORUM: quorum, EACH_QUORUM: eachQuorum, ALL: all };
  return { consistency: levels[level], serialConsistency: level === "LOCAL_QUORUM" ? localSerial : serial };
}

/** A request that ran out of time has none left for another node; what did not reach one goes to the next. */
function retryPolicy({ policies }: Driver): cassandra.policies.retry.RetryPolicy {
  const policy = new policies.retry.RetryPolicy();
  const onRequestError = policy.onRequestError.bind(policy);
  policy.onRequestError = (info, consistency, error) =>
    (error as Error).name === "OperationTimedOutError"
      ? policy.rethrowResult()
      : onRequestError(info, consistency, error);
  return policy;
}

/** Node addresses as they are advertised, or as `translate` sees them. */
function translator({ policies }: Driver, translate: SessionParts["translate"]) {
  const translator = policies.defaultAddressTranslator();
  if (translate === undefined) return translator;
  translator.translate = (address: string, port: number, done: Function) =>
    done(translate(isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`));
  return translator;
}

async function tlsOptions({ ca, cert, key, verify }: NonNullable<SessionConfig["tls"]>): Promise<ConnectionOptions> {
  const read = async (file: string | undefined) => (file === undefined ? undefined : await readFile(file));
  const [authorities, certificate, secret] = await Promise.all([read(ca), read(cert), read(key)]);
  return {
    rejectUnauthorized: verify,
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(secret === undefined ? {} : { key: secret }),
  };
}
