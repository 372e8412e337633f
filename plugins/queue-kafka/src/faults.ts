import { Fault, type FaultSpecs, isFault } from "@heddle/plugin-sdk";

export const faults = {
  "queue.record-too-large": { kind: "invalid", help: "A record is larger than `recordBytes`; nothing was written." },
  "queue.topic-unknown": { kind: "missing", help: "The topic was never given to `ensure`." },
  "queue.partition-unknown": { kind: "invalid", help: "The topic has fewer partitions; nothing was written." },
  "queue.partitions": { kind: "conflict", help: "The topic exists with another number of partitions." },
  "queue.topic-config": {
    kind: "conflict",
    help: "The topic exists and takes smaller record batches than `recordBytes`.",
  },
  "queue.replication": { kind: "conflict", help: "The cluster has fewer brokers than `replication` asks for." },
  "queue.unsettled": { kind: "conflict", help: "A reader was asked to read again before its batch was settled." },
  "queue.settle": { kind: "conflict", help: "A batch was settled twice, or for more records than it holds." },
  "queue.reader-closed": { kind: "conflict", help: "The reader has given its partition up." },
  "queue.full": { kind: "exhausted", help: "More bytes wait to be sent than `pendingBytes` allows." },
  "queue.unavailable": {
    kind: "unavailable",
    help: "No broker took the records in time; those named are not known to be durable.",
  },
  "queue.closed": { kind: "unavailable", help: "The queue is not started or has been stopped." },
  "queue.denied": { kind: "denied", help: "Kafka refused the user, the password or the right to do this." },
  "queue.tls": { kind: "invalid", help: "The TLS connection failed: certificate, CA, key or a listener without TLS." },
  "queue.refused": { kind: "internal", help: "Kafka refused a request for a reason that waiting does not mend." },
} as const satisfies FaultSpecs;

export type FaultCode = keyof typeof faults;

/** A fault of this plugin, with the kind that its code declares. */
export function fault(code: FaultCode, message: string, cause?: unknown): Fault {
  const { kind } = faults[code];
  const pause = kind === "exhausted" || kind === "unavailable" ? { retryAfterMs: 1_000 } : {};
  return new Fault(kind, code, `queue-kafka: ${message}`, { ...pause, ...(cause === undefined ? {} : { cause }) });
}

interface DriverError {
  readonly name?: string;
  readonly message?: string;
  readonly type?: string;
  readonly code?: unknown;
  readonly retriable?: boolean;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

const tlsCodes =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|EPROTO$|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_(VERIFY|GET)_|HOSTNAME_MISMATCH|INVALID_CA)/;
const deniedTypes = /(AUTHORIZATION_FAILED|AUTHENTICATION_FAILED|UNSUPPORTED_SASL_MECHANISM|SECURITY_DISABLED)$/;
const unmendable = new Set(["KafkaJSNonRetriableError", "KafkaJSProtocolError", "KafkaJSCreateTopicError"]);

/** The driver's error as a fault; `doing` says what was attempted. */
export function asKafkaFault(error: unknown, doing: string): Fault {
  if (isFault(error)) return error;
  const chain = causes(error);
  const text = `${doing}: ${chain[0]?.message ?? String(error)}`;
  if (chain.some(isDenial)) return fault("queue.denied", text, error);
  if (chain.some(({ code }) => typeof code === "string" && tlsCodes.test(code))) return fault("queue.tls", text, error);
  const last = chain.at(-1);
  if (last?.retriable === false && unmendable.has(last.name ?? "")) return fault("queue.refused", text, error);
  return fault("queue.unavailable", text, error);
}

/** Protocol error types along the chain of causes, `NOT_CONTROLLER` and the like. */
export function errorTypes(error: unknown): readonly string[] {
  return causes(error).flatMap(({ type }) => type ?? []);
}

function isDenial({ name, type }: DriverError): boolean {
  return name === "KafkaJSSASLAuthenticationError" || (type !== undefined && deniedTypes.test(type));
}

function causes(error: unknown): DriverError[] {
  const found: DriverError[] = [];
  const open: unknown[] = [error];
  for (let next = open.shift(); next !== undefined && found.length < 10; next = open.shift()) {
    if (typeof next !== "object" || next === null || found.includes(next)) continue;
    found.push(next);
    const { cause, errors } = next as DriverError;
    open.push(...(errors ?? []), ...(cause === undefined ? [] : [cause]));
  }
  return found;
}
