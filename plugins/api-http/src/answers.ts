import { asFault, type Fault, faultStatus } from "@heddle/plugin-sdk";

/** errorCode of rest-semantics 4.1 by kind. */
const errorCodes: Readonly<Record<Fault["kind"], number>> = {
  invalid: 31,
  denied: 20,
  missing: 32,
  conflict: 35,
  exhausted: 33,
  unavailable: 2,
  internal: 2,
};

export interface ErrorAnswer {
  readonly status: number;
  readonly text: string;
  readonly plain: boolean;
  readonly retryAfterMs?: number | undefined;
}

/** A fault as clients get it; what is wrong inside stays inside. */
export function errorAnswer(error: unknown, now: number): ErrorAnswer {
  const fault = asFault(error);
  const signIn = fault.code.startsWith("identity.") && fault.kind === "denied";
  const status = signIn ? 401 : ((fault.data?.["status"] as number | undefined) ?? faultStatus[fault.kind]);
  if (fault.data?.["plainText"] === true) return { status, text: fault.message, plain: true };
  const message = fault.kind === "internal" ? "Internal server error" : fault.message;
  const errorCode = signIn ? (fault.code === "identity.expired" ? 11 : 10) : errorCodes[fault.kind];
  const limit = fault.code === "registry.limit" ? { errorCode: 41, ...fault.data } : {};
  const text = JSON.stringify({ status, message, errorCode, timestamp: now, ...limit });
  return { status, text, plain: false, retryAfterMs: fault.retryAfterMs };
}
