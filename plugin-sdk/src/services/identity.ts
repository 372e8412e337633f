import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";

export type Authority = "SYS_ADMIN" | "TENANT_ADMIN" | "CUSTOMER_USER";

/** Who makes a request (rest-semantics 2–3). */
export interface Principal {
  readonly userId: string;
  readonly email: string;
  readonly authority: Authority;
  /** `nullId` for a system administrator. */
  readonly tenantId: string;
  /** `nullId` unless a customer user. */
  readonly customerId: string;
  /** The sign-in this token belongs to; logging out ends it. */
  readonly sessionId: string;
  /** Signed in as the public user of a customer. */
  readonly isPublic: boolean;
}

/** Signing in and proving it. Faults are `denied` with the codes `identity.*`. */
export interface Identity {
  /** Verifies an access token and that its user and sign-in are still good. Fault `identity.token` or `identity.expired`. */
  authenticate(accessToken: string, call: CallOptions): Promise<Principal>;
  authenticateApiKey(value: string, call: CallOptions): Promise<Principal>;
  /** Aborts when the sign-in ends: logout, password change, user disabled or deleted. */
  ended(principal: Principal): AbortSignal;
}
export const Identity = capability<Identity>("identity@1");
