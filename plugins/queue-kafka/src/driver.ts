import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import type { Log, World } from "@heddle/plugin-sdk";
import kafkajs, { type ISocketFactory, type Kafka, type SASLOptions } from "kafkajs";
import { driverLog } from "./driver-log.ts";
import { fault } from "./faults.ts";
import { brokerList, type Settings } from "./settings.ts";

/** How a test reaches brokers other than by the addresses that they advertise. */
export interface DriverOptions {
  readonly socketFactory?: ISocketFactory;
}

/** Requests of the driver end after this long; several of them fit into one `ackTimeout`. */
export const requestMs = (settings: Settings) => Math.min(10_000, Math.max(500, Math.round(settings.ackTimeout / 4)));

/** The driver's client. Its connections begin at another broker each time, so that a silent one is not asked for ever. */
export function openDriver(settings: Settings, at: { world: World; log: Log }, options: DriverOptions = {}): Kafka {
  const brokers = brokerList(settings.brokers);
  let turn = Math.floor(at.world.random() * brokers.length);
  return new kafkajs.Kafka({
    clientId: settings.prefix,
    brokers: async () => {
      turn += 1;
      return brokers.map((_, i) => brokers[(turn + i) % brokers.length] as string);
    },
    connectionTimeout: settings.connectTimeout,
    authenticationTimeout: requestMs(settings),
    requestTimeout: requestMs(settings),
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, multiplier: 2, factor: 0.2, retries: 2 },
    logLevel: kafkajs.logLevel.WARN,
    logCreator: driverLog(at.log, at.world),
    ...options,
    ...(settings.tls === undefined ? {} : { ssl: tlsOptions(settings.tls) }),
    ...(settings.sasl === undefined ? {} : { sasl: saslOptions(settings.sasl) }),
  });
}

function tlsOptions({ ca, cert, key, serverName }: NonNullable<Settings["tls"]>): ConnectionOptions {
  return {
    ...(ca === undefined ? {} : { ca: pemText("ca", ca) }),
    ...(cert === undefined ? {} : { cert: pemText("cert", cert) }),
    ...(key === undefined ? {} : { key: pemText("key", key.reveal()) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

function pemText(field: string, value: string): string {
  if (value.trimStart().startsWith("-----BEGIN")) return value;
  try {
    return readFileSync(value, "utf8");
  } catch (error) {
    throw fault(
      "queue.tls",
      `tls.${field} names a file that cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}

function saslOptions({ mechanism, username, password }: NonNullable<Settings["sasl"]>): SASLOptions {
  const mechanisms = { PLAIN: "plain", "SCRAM-SHA-256": "scram-sha-256", "SCRAM-SHA-512": "scram-sha-512" } as const;
  return { mechanism: mechanisms[mechanism], username, password: password.reveal() } as SASLOptions;
}
