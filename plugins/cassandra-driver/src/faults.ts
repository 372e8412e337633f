import { Fault, type FaultSpecs } from "@heddle/plugin-sdk";

/** The codes that any store on a session may answer with. */
export const sharedFaults = {
  "store.unavailable": { kind: "unavailable", help: "No node answers, or fewer than the consistency level needs." },
  "store.timeout": { kind: "unavailable", help: "No answer in time; a write may or may not have happened." },
  "store.denied": { kind: "denied", help: "Cassandra refuses the user or what it wants to do." },
  "store.replication": { kind: "invalid", help: "More copies are configured than the data centre has nodes." },
  "store.schema-version": { kind: "invalid", help: "The keyspace was written by another version of this plugin." },
  "store.layout": { kind: "invalid", help: "The keyspace was made with another setting that cannot change." },
  "store.invalid": { kind: "invalid", help: "The call does not make sense; the message says why." },
  "store.internal": { kind: "internal", help: "A defect; the log has particulars." },
} as const satisfies FaultSpecs;

export const faults = sharedFaults;
export type FaultCode = keyof typeof sharedFaults;

export function fault(code: FaultCode, message: string, cause?: unknown): Fault {
  return new Fault(sharedFaults[code].kind, code, message, cause === undefined ? {} : { cause });
}

/** What the driver throws, as far as it is looked at; its classes are loaded only when a session opens. */
interface DriverError extends Error {
  readonly code?: number | string;
  readonly innerErrors?: Readonly<Record<string, Error>>;
  readonly coordinator?: string;
  readonly isSocketError?: boolean;
  readonly writeType?: string;
}

/** Numbers of the native protocol (v4, section 9). */
const codes: Readonly<Record<number, FaultCode>> = {
  256: "store.denied",
  4096: "store.unavailable",
  4097: "store.unavailable",
  4098: "store.unavailable",
  4352: "store.timeout",
  4608: "store.timeout",
  4864: "store.unavailable",
  5376: "store.unavailable",
  5888: "store.timeout",
  8448: "store.denied",
};
/** Classes of the driver by name. */
const names: Readonly<Record<string, FaultCode>> = {
  AuthenticationError: "store.denied",
  OperationTimedOutError: "store.timeout",
  BusyConnectionError: "store.unavailable",
};

export function codeOf(error: unknown): FaultCode {
  const { name, code, innerErrors, isSocketError } = error as DriverError;
  if (name === "NoHostAvailableError") {
    const inner = Object.values(innerErrors ?? {}).map(codeOf);
    if (inner.includes("store.denied")) return "store.denied";
    return inner.length > 0 && inner.every((one) => one === "store.timeout") ? "store.timeout" : "store.unavailable";
  }
  if (isSocketError === true || (typeof code === "string" && /^E[A-Z]+$/.test(code))) return "store.unavailable";
  return (typeof code === "number" ? codes[code] : undefined) ?? names[name] ?? "store.internal";
}

/** The outcome of a conditional write is not known: it may have happened, or still will. */
export const ask = (error: unknown): boolean => {
  const cause = error instanceof Fault ? error.code : undefined;
  return cause === "store.timeout" || cause === "store.unavailable";
};

/** One line: what was wanted, what went wrong at which host, and what was configured. */
export function faultOf(error: unknown, purpose: string, where: string): Fault {
  const { message, innerErrors, coordinator } = error as DriverError;
  const inner = Object.entries(innerErrors ?? {}).map(([host, one]) => `${host}: ${one?.message ?? one}`);
  const detail =
    inner.length > 0 ? inner.join("; ") : coordinator === undefined ? message : `${coordinator}: ${message}`;
  return fault(codeOf(error), `${purpose}: ${detail.replace(/\.$/, "")} (${where})`, error);
}
