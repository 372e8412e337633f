/** What kind of trouble a fault is; generic code (REST, transports, lanes) decides by it and by nothing else. */
export type FaultKind = "invalid" | "denied" | "missing" | "conflict" | "exhausted" | "unavailable" | "internal";

/** HTTP status of each kind; `denied` is 401 when nobody is signed in, which only the API can know. */
export const faultStatus: Readonly<Record<FaultKind, number>> = {
  invalid: 400,
  denied: 403,
  missing: 404,
  conflict: 409,
  exhausted: 429,
  unavailable: 503,
  internal: 500,
};

export interface FaultOptions {
  readonly cause?: unknown;
  readonly retryAfterMs?: number;
  /** Machine-readable particulars; must not hold secrets, since faults are logged and answered. */
  readonly data?: Readonly<Record<string, unknown>>;
}

const mark = Symbol.for("heddle.fault");

/** The one error class. `code` is stable API (`queue.send-timeout`); the message says what, where and how much. */
export class Fault extends Error {
  readonly code: string;
  readonly kind: FaultKind;
  readonly retryAfterMs: number | undefined;
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(kind: FaultKind, code: string, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Fault";
    this.kind = kind;
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.data = options.data;
    Object.defineProperty(this, mark, { value: true });
  }

  /** True when the same call may succeed later. */
  get retryable(): boolean {
    return this.kind === "exhausted" || this.kind === "unavailable";
  }
}

/** One failed item of a batched write. */
export interface BatchFailure {
  readonly index: number;
  readonly fault: Fault;
}

/** Some items of a batch failed; every item not listed is done. */
export class BatchFault extends Fault {
  readonly failures: readonly BatchFailure[];

  constructor(code: string, message: string, failures: readonly BatchFailure[]) {
    super(failures[0]?.fault.kind ?? "internal", code, message, { cause: failures[0]?.fault });
    this.failures = failures;
  }
}

/** Recognises faults of any copy of this package: plugins may bring their own. */
export function isFault(error: unknown): error is Fault {
  return typeof error === "object" && error !== null && (error as Record<symbol, unknown>)[mark] === true;
}

/** The error as a fault: itself, or an `internal` one that carries it as cause. */
export function asFault(error: unknown): Fault {
  if (isFault(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Fault("internal", "internal", message, { cause: error });
}

/** Declares the codes of a plugin; the reference pages are generated from it. */
export type FaultSpecs = Readonly<Record<string, { readonly kind: FaultKind; readonly help: string }>>;
