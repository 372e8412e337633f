import {
  type AccountState,
  type Accounts,
  type CallOptions,
  type Collection,
  type CustomerDocument,
  change,
  customerCollection,
  type EntityStore,
  type Identity,
  invalid,
  nullId,
  type Principal,
  type Stored,
  type TokenPair,
  type UserDocument,
  userCollection,
  type World,
} from "@heddle/plugin-sdk";
import type { StoredApiKeys } from "./api-keys.ts";
import { type CredentialsDocument, credentialsCollection } from "./credentials.ts";
import { denied, missing } from "./faults.ts";
import { checkPassword, drawText, hashPassword, verifyPassword } from "./passwords.ts";
import type { SignIns } from "./sign-ins.ts";
import { type Bearer, refreshSeconds, type Tokens } from "./tokens.ts";

/** How long an activation link works, and when a fresh one is made instead (rest-semantics 2.18). */
const activationMs = 24 * 3_600_000;
const freshActivationMs = 15 * 60_000;

interface Deps {
  readonly world: World;
  readonly entities: EntityStore;
  readonly tokens: () => Tokens;
  readonly signIns: SignIns;
  readonly apiKeys: StoredApiKeys;
}

/** Signing in, staying signed in, and passwords (rest-semantics 2). */
export class UserAccounts implements Identity, Accounts {
  readonly #deps: Deps;
  readonly #credentials: Collection<CredentialsDocument>;
  readonly #users: Collection<UserDocument>;
  readonly #customers: Collection<CustomerDocument>;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#credentials = deps.entities.collection(credentialsCollection);
    this.#users = deps.entities.collection(userCollection);
    this.#customers = deps.entities.collection(customerCollection);
  }

  async authenticate(accessToken: string, call: CallOptions): Promise<Principal> {
    const { principal, issuedAt } = this.#deps.tokens().readAccess(accessToken);
    const { userId, sessionId } = principal;
    const good = principal.isPublic
      ? (await this.#publicCustomer(principal.customerId, call)) !== undefined
      : isGood(await this.#find(userId, call), sessionId, issuedAt);
    if (!good) throw denied("identity.expired");
    return principal;
  }

  async authenticateApiKey(value: string, call: CallOptions): Promise<Principal> {
    const key = await this.#deps.apiKeys.byValue(value, call);
    if (key === undefined) throw denied("identity.credentials");
    const expired = key.expirationTime > 0 && key.expirationTime <= this.#deps.world.now();
    const [credentials, [user]] = await Promise.all([
      this.#find(key.userId, call),
      this.#users.get([key.userId], call),
    ]);
    if (user === undefined) throw denied("identity.credentials");
    if (!key.enabled || expired || credentials?.enabled !== true) throw denied("identity.inactive");
    return bearerOf(user.value, key.id);
  }

  ended(principal: Principal): AbortSignal {
    return this.#deps.signIns.watch(principal);
  }

  async login(email: string, password: string, call: CallOptions): Promise<TokenPair> {
    const { items } = await this.#users.find({ where: { email }, limit: 1 }, call);
    const user = items[0]?.value;
    const credentials = user === undefined ? undefined : await this.#find(user.id, call);
    if (user !== undefined && credentials?.enabled === false) throw denied("identity.inactive");
    if (!(await verifyPassword(password, credentials?.password ?? undefined)) || user === undefined) {
      throw denied("identity.credentials");
    }
    await this.#update(user.id, (now) => ({ ...now, lastLoginTs: this.#deps.world.now() }), call);
    return this.#issue(user);
  }

  async loginPublic(customerId: string, call: CallOptions): Promise<TokenPair> {
    const customer = await this.#publicCustomer(customerId, call);
    if (customer === undefined) throw denied("identity.credentials");
    return this.#deps.tokens().issue(publicBearer(customer, this.#deps.world.uuid()));
  }

  async refresh(refreshToken: string, call: CallOptions): Promise<TokenPair> {
    const { subject, userId, sessionId, isPublic, issuedAt } = this.#deps.tokens().readRefresh(refreshToken);
    if (isPublic) {
      const customer = await this.#publicCustomer(subject, call);
      if (customer === undefined) throw denied("identity.credentials");
      return this.#deps.tokens().issue(publicBearer(customer, sessionId));
    }
    const [credentials, [user]] = await Promise.all([this.#find(userId, call), this.#users.get([userId], call)]);
    if (user === undefined || credentials === undefined) throw denied("identity.credentials");
    if (!credentials.enabled) throw denied("identity.inactive");
    if (!isGood(credentials, sessionId, issuedAt)) throw denied("identity.outdated");
    return this.#deps.tokens().issue(bearerOf(user.value, sessionId));
  }

  async logout({ userId, sessionId }: Principal, call: CallOptions): Promise<void> {
    const second = this.#second();
    const endOf = (now: CredentialsDocument) => {
      const live = Object.entries(now.ended).filter(([, at]) => at > second - refreshSeconds);
      return { ...now, ended: { ...Object.fromEntries(live), [sessionId]: second } };
    };
    if (userId !== nullId) await this.#update(userId, endOf, call);
    this.#deps.signIns.announce({ userId, sessionId });
  }

  async changePassword(
    principal: Principal,
    { current, next }: { readonly current: string; readonly next: string | undefined },
    call: CallOptions,
  ): Promise<TokenPair> {
    const credentials = await this.#find(principal.userId, call);
    if (credentials === undefined) throw denied("identity.credentials");
    checkPassword(next);
    if (!(await verifyPassword(current, credentials.password ?? undefined))) {
      throw invalid("Current password doesn't match!");
    }
    if (current === next) throw invalid("New password should be different from existing!");
    const password = await hashPassword(next);
    await this.#update(principal.userId, (now) => ({ ...now, password, voidBefore: this.#second() }), call);
    this.#deps.signIns.announce({ userId: principal.userId });
    return this.tokensOf(principal.userId, call);
  }

  async tokensOf(userId: string, call: CallOptions): Promise<TokenPair> {
    const [user] = await this.#users.get([userId], call);
    if (user === undefined) throw missing("User", userId);
    return this.#issue(user.value);
  }

  /** Called by the directory when it makes a user. */
  async open({ id, tenantId }: UserDocument, call: CallOptions): Promise<void> {
    const value: CredentialsDocument = {
      id,
      tenantId,
      enabled: false,
      password: null,
      ...this.#activation(),
      voidBefore: 0,
      ended: {},
      lastLoginTs: null,
    };
    await this.#credentials.put([{ value, expect: "any" }], call);
  }

  async activation(userId: string, call: CallOptions): Promise<{ readonly token: string; readonly ttlMs: number }> {
    const { world } = this.#deps;
    const after = await this.#update(
      userId,
      (now) => {
        if (now.password !== null) throw invalid("User is already activated!");
        return now.activateUntil - world.now() < freshActivationMs ? { ...now, ...this.#activation() } : now;
      },
      call,
    );
    return { token: after.activateToken ?? "", ttlMs: after.activateUntil - world.now() };
  }

  async activationState(token: string, call: CallOptions): Promise<"good" | "expired" | "unknown"> {
    const found = await this.#byActivation(token, call);
    if (found === undefined) return "unknown";
    return found.value.activateUntil > this.#deps.world.now() ? "good" : "expired";
  }

  async activate(token: string, password: string | undefined, call: CallOptions): Promise<TokenPair> {
    checkPassword(password);
    const found = await this.#byActivation(token, call);
    if (found === undefined) throw invalid(`Unable to find user credentials by activateToken [${token}]`);
    if (found.value.activateUntil <= this.#deps.world.now()) throw invalid("Activation token expired");
    await this.setPassword(found.value.id, password, call);
    return this.tokensOf(found.value.id, call);
  }

  async setPassword(userId: string, plain: string, call: CallOptions): Promise<void> {
    const password = await hashPassword(plain);
    await this.#update(
      userId,
      (now) => ({ ...now, enabled: true, password, activateToken: null, activateUntil: 0 }),
      call,
    );
  }

  async setEnabled(userId: string, enabled: boolean, call: CallOptions): Promise<void> {
    const voidBefore = (now: CredentialsDocument) => (enabled ? now.voidBefore : this.#second());
    await this.#update(userId, (now) => ({ ...now, enabled, voidBefore: voidBefore(now) }), call);
    if (!enabled) this.#deps.signIns.announce({ userId });
  }

  async state(userId: string, call: CallOptions): Promise<AccountState> {
    const found = await this.#find(userId, call);
    return {
      enabled: found?.enabled ?? false,
      activated: typeof found?.password === "string",
      lastLoginTs: found?.lastLoginTs ?? null,
    };
  }

  /** The users are gone: their tokens and API keys are void. */
  async close(userIds: readonly string[], call: CallOptions): Promise<void> {
    await this.#credentials.remove(userIds, call);
    await this.#deps.apiKeys.forget(userIds, call);
    for (const userId of userIds) this.#deps.signIns.announce({ userId });
  }

  #issue(user: UserDocument): TokenPair {
    return this.#deps.tokens().issue(bearerOf(user, this.#deps.world.uuid()));
  }

  #activation(): Pick<CredentialsDocument, "activateToken" | "activateUntil"> {
    return { activateToken: drawText(30), activateUntil: this.#deps.world.now() + activationMs };
  }

  async #byActivation(activateToken: string, call: CallOptions): Promise<Stored<CredentialsDocument> | undefined> {
    return (await this.#credentials.find({ where: { activateToken }, limit: 1 }, call)).items[0];
  }

  async #publicCustomer(customerId: string, call: CallOptions): Promise<CustomerDocument | undefined> {
    const [customer] = await this.#customers.get([customerId], call);
    return customer?.value.additionalInfo?.["isPublic"] === true ? customer.value : undefined;
  }

  async #find(userId: string, call: CallOptions): Promise<CredentialsDocument | undefined> {
    return (await this.#credentials.get([userId], call))[0]?.value;
  }

  async #update(
    id: string,
    to: (now: CredentialsDocument) => CredentialsDocument,
    call: CallOptions,
  ): Promise<CredentialsDocument> {
    const what = { id, kind: "User credentials", to: ({ value }: Stored<CredentialsDocument>) => to(value) };
    const changed = await change(this.#credentials, what, call);
    if (changed === undefined) throw missing("User", id);
    return changed.after.value;
  }

  #second(): number {
    return Math.floor(this.#deps.world.now() / 1_000);
  }
}

/** Whole seconds: a token issued in the second of a password change stays valid; that of a logout does not. */
function isGood(credentials: CredentialsDocument | undefined, sessionId: string, issuedAt: number): boolean {
  if (credentials?.enabled !== true || issuedAt < credentials.voidBefore) return false;
  const end = credentials.ended[sessionId];
  return end === undefined || issuedAt > end;
}

function bearerOf(user: UserDocument, sessionId: string): Bearer {
  const { id: userId, email, authority, tenantId, firstName, lastName } = user;
  const customerId = user.customerId ?? nullId;
  return { userId, email, authority, tenantId, customerId, sessionId, isPublic: false, firstName, lastName };
}

function publicBearer({ id, tenantId }: CustomerDocument, sessionId: string): Bearer {
  return {
    userId: nullId,
    email: id,
    authority: "CUSTOMER_USER",
    tenantId,
    customerId: id,
    sessionId,
    isPublic: true,
    firstName: "Public",
    lastName: "Public",
  };
}
