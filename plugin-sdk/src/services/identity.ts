import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { Page, Query, Stored } from "../spi/entities.ts";
import type { CustomerDocument, TenantDocument, TenantProfileDocument, UserDocument } from "./documents.ts";
import type { Doer } from "./entity-events.ts";
import type { Draft, NameConflict, Records } from "./records.ts";

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

/** Proving who makes a request. Faults are `denied` with the codes `identity.*`. */
export interface Identity {
  /** Verifies an access token and that its user and sign-in are still good. Fault `identity.token` or `identity.expired`. */
  authenticate(accessToken: string, call: CallOptions): Promise<Principal>;
  authenticateApiKey(value: string, call: CallOptions): Promise<Principal>;
  /** Aborts when the sign-in ends: logout, password change, user disabled or deleted. */
  ended(principal: Principal): AbortSignal;
}
export const Identity = capability<Identity>("identity@1");

export interface TokenPair {
  readonly token: string;
  readonly refreshToken: string;
}

/** What users do with their own accounts (rest-semantics 2). Bad passwords and tokens are `invalid`, refusals `denied`. */
export interface Accounts {
  login(email: string, password: string, call: CallOptions): Promise<TokenPair>;
  /** As the public user of a customer that is public. */
  loginPublic(customerId: string, call: CallOptions): Promise<TokenPair>;
  refresh(refreshToken: string, call: CallOptions): Promise<TokenPair>;
  logout(principal: Principal, call: CallOptions): Promise<void>;
  changePassword(
    principal: Principal,
    passwords: { readonly current: string; readonly next: string | undefined },
    call: CallOptions,
  ): Promise<TokenPair>;
  /** A sign-in for somebody else; the caller has checked that it may. */
  tokensOf(userId: string, call: CallOptions): Promise<TokenPair>;
  /** A token that activates the user, valid for a while; fault when the user is active already. */
  activation(userId: string, call: CallOptions): Promise<{ readonly token: string; readonly ttlMs: number }>;
  activationState(token: string, call: CallOptions): Promise<"good" | "expired" | "unknown">;
  activate(token: string, password: string, call: CallOptions): Promise<TokenPair>;
  /** Sets the password and activates the user without a token: sample data and first start. */
  setPassword(userId: string, password: string, call: CallOptions): Promise<void>;
  setEnabled(userId: string, enabled: boolean, call: CallOptions): Promise<void>;
  state(userId: string, call: CallOptions): Promise<AccountState>;
}
export const Accounts = capability<Accounts>("accounts@1");

export interface AccountState {
  readonly enabled: boolean;
  readonly activated: boolean;
  readonly lastLoginTs: number | null;
}

export interface ApiKey {
  readonly id: string;
  readonly tenantId: string;
  readonly userId: string;
  readonly createdTime: number;
  readonly description: string;
  readonly enabled: boolean;
  /** ms since the epoch; 0 never expires. */
  readonly expirationTime: number;
}

/** Long-lived credentials of users for programs. */
export interface ApiKeys {
  /** `value` is told once and not kept. */
  create(
    key: Pick<ApiKey, "tenantId" | "userId" | "description" | "enabled" | "expirationTime">,
    call: CallOptions,
  ): Promise<{ readonly key: ApiKey; readonly value: string }>;
  get(id: string, call: CallOptions): Promise<ApiKey | undefined>;
  ofUser(userId: string, query: Omit<Query, "where">, call: CallOptions): Promise<Page<ApiKey>>;
  change(
    id: string,
    to: { readonly description?: string; readonly enabled?: boolean },
    call: CallOptions,
  ): Promise<ApiKey>;
  remove(id: string, call: CallOptions): Promise<void>;
}
export const ApiKeys = capability<ApiKeys>("api-keys@1");

/** What clients keep for their users, by type (rest-semantics 17.4). */
export interface UserSettings {
  /** Empty where nothing is kept. */
  get(of: SettingsOf, call: CallOptions): Promise<Settings>;
  /** In place of what was there. */
  replace(of: SettingsOf, settings: Settings, call: CallOptions): Promise<void>;
  /** Objects are merged member by member; a name with dots reaches into them. */
  merge(of: SettingsOf, settings: Settings, call: CallOptions): Promise<void>;
  /** Names with dots reach into objects; those that are not there are skipped. */
  remove(of: SettingsOf, paths: readonly string[], call: CallOptions): Promise<void>;
}
export type Settings = Readonly<Record<string, unknown>>;
export interface SettingsOf {
  readonly userId: string;
  readonly type: string;
}
export const UserSettings = capability<UserSettings>("user-settings@1");

/**
 * Tenants, their customers and users. Deleting goes through `Lifecycle`. Faults as in `DeviceRegistry`: `input.invalid`
 * with the texts of rest-semantics 6, `record.conflict`, `missing`.
 */
export interface Directory {
  readonly tenants: Records<TenantDocument>;
  readonly tenantProfiles: Records<TenantProfileDocument>;
  readonly customers: Records<CustomerDocument>;
  readonly users: Records<UserDocument>;
  saveTenant(draft: Draft<TenantDocument>, call: CallOptions): Promise<Stored<TenantDocument>>;
  saveTenantProfile(draft: Draft<TenantProfileDocument>, call: CallOptions): Promise<Stored<TenantProfileDocument>>;
  defaultTenantProfile(call: CallOptions): Promise<Stored<TenantProfileDocument>>;
  removeTenantProfile(id: string, call: CallOptions): Promise<void>;
  saveCustomer(
    what: {
      readonly tenantId: string;
      readonly customer: Draft<CustomerDocument>;
      readonly nameConflict?: NameConflict;
      readonly by?: Doer;
    },
    call: CallOptions,
  ): Promise<Stored<CustomerDocument>>;
  /** The tenant's public customer; made when there is none (rest-semantics 7.8). */
  publicCustomer(tenantId: string, call: CallOptions): Promise<Stored<CustomerDocument>>;
  /** A new user cannot sign in until activated. */
  saveUser(draft: Draft<UserDocument>, call: CallOptions): Promise<Stored<UserDocument>>;
}
export const Directory = capability<Directory>("directory@1");
