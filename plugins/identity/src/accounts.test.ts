import { randomBytes } from "node:crypto";
import { type Actors, type Cluster, type Lanes, nullId, type World } from "@heddle/plugin-sdk";
import { MemoryEntityStore } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { UserAccounts } from "./accounts.ts";
import { StoredApiKeys } from "./api-keys.ts";
import { StoredDirectory } from "./directory.ts";
import { SignIns } from "./sign-ins.ts";
import { Tokens } from "./tokens.ts";
import { StoredUserSettings } from "./user-settings.ts";

const call = { signal: new AbortController().signal };
const password = "golden-pass-1";

function setUp() {
  const clock = { now: 1_700_000_000_000 };
  const world = { now: () => clock.now, uuid: () => crypto.randomUUID() } as unknown as World;
  const entities = new MemoryEntityStore();
  const cluster = { self: "n1", members: ["n1"] } as unknown as Cluster;
  const signIns = new SignIns({ actors: {} as Actors, cluster });
  const apiKeys = new StoredApiKeys({ world, entities });
  const tokens = new Tokens(randomBytes(64), world);
  const accounts = new UserAccounts({ world, entities, signIns, apiKeys, tokens: () => tokens });
  const lanes = { publish: async () => {} } as unknown as Lanes;
  const directory = new StoredDirectory({ world, lanes, entities }, accounts, new StoredUserSettings(entities));
  return { clock, accounts, apiKeys, directory };
}

async function withUser() {
  const parts = setUp();
  const tenantId = (await parts.directory.saveTenant({ title: "T" }, call)).value.id;
  const draft = { email: "ta@example.org", authority: "TENANT_ADMIN" as const, tenantId };
  const user = (await parts.directory.saveUser(draft, call)).value;
  return { ...parts, tenantId, user };
}

async function signedIn() {
  const parts = await withUser();
  await parts.accounts.setPassword(parts.user.id, password, call);
  const pair = await parts.accounts.login(parts.user.email, password, call);
  const principal = await parts.accounts.authenticate(pair.token, call);
  return { ...parts, pair, principal };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "fulfilled",
    (error: { code: string }) => error.code,
  );

describe("accounts (rest-semantics 2)", () => {
  it("cannot be signed into before activation, nor with a wrong password or name", async () => {
    const { accounts, user } = await withUser();
    expect(await codeOf(accounts.login(user.email, password, call))).toBe("identity.inactive");
    const { token } = await accounts.activation(user.id, call);
    expect(await accounts.activationState(token, call)).toBe("good");
    await accounts.activate(token, password, call);
    expect(await accounts.activationState(token, call)).toBe("unknown");
    expect(await codeOf(accounts.login(user.email, "nope", call))).toBe("identity.credentials");
    expect(await codeOf(accounts.login(user.email.toUpperCase(), password, call))).toBe("identity.credentials");
    expect(await codeOf(accounts.login(user.email, password, call))).toBe("fulfilled");
  });

  it("have activation links that run out and are renewed shortly before", async () => {
    const { accounts, user, clock } = await withUser();
    const { token } = await accounts.activation(user.id, call);
    expect((await accounts.activation(user.id, call)).token).toBe(token);
    clock.now += 24 * 3_600_000 - 60_000;
    expect((await accounts.activation(user.id, call)).token).not.toBe(token);
  });

  it("lose the tokens of a sign-in that logs out, and no others", async () => {
    const { accounts, pair, principal, user } = await signedIn();
    const other = await accounts.login(user.email, password, call);
    const ended = accounts.ended(principal);
    await accounts.logout(principal, call);
    expect(ended.aborted).toBe(true);
    expect(await codeOf(accounts.authenticate(pair.token, call))).toBe("identity.expired");
    expect(await codeOf(accounts.refresh(pair.refreshToken, call))).toBe("identity.outdated");
    expect(await codeOf(accounts.authenticate(other.token, call))).toBe("fulfilled");
  });

  it("lose all older tokens with a new password", async () => {
    const { accounts, pair, principal, clock } = await signedIn();
    const ended = accounts.ended(principal);
    clock.now += 1_000;
    const change = (current: string, next: string | undefined) =>
      accounts.changePassword(principal, { current, next }, call);
    await expect(change("x", "golden-pass-2")).rejects.toThrow("Current password doesn't match!");
    await expect(change(password, password)).rejects.toThrow("New password should be different from existing!");
    const fresh = await change(password, "golden-pass-2");
    expect(ended.aborted).toBe(true);
    expect(await codeOf(accounts.authenticate(pair.token, call))).toBe("identity.expired");
    expect(await codeOf(accounts.authenticate(fresh.token, call))).toBe("fulfilled");
  });

  it("cannot be used while disabled", async () => {
    const { accounts, pair, user, clock } = await signedIn();
    await accounts.setEnabled(user.id, false, call);
    expect(await codeOf(accounts.authenticate(pair.token, call))).toBe("identity.expired");
    expect(await codeOf(accounts.login(user.email, password, call))).toBe("identity.inactive");
    expect(await codeOf(accounts.refresh(pair.refreshToken, call))).toBe("identity.inactive");
    clock.now += 1_000;
    await accounts.setEnabled(user.id, true, call);
    expect(await codeOf(accounts.login(user.email, password, call))).toBe("fulfilled");
  });

  it("end with their tenant", async () => {
    const { accounts, directory, pair, principal, tenantId } = await signedIn();
    const ended = accounts.ended(principal);
    const removal = { tenantId, entity: { entityType: "TENANT", id: tenantId } };
    await directory.hide(removal, call);
    await directory.forget(removal, call);
    expect(ended.aborted).toBe(true);
    expect(await codeOf(accounts.authenticate(pair.token, call))).toBe("identity.expired");
    expect(await directory.tenants.get(tenantId, call)).toBeUndefined();
  });

  it("of the public exist only for public customers", async () => {
    const { accounts, directory, tenantId } = await withUser();
    const publicOne = (await directory.publicCustomer(tenantId, call)).value;
    expect((await directory.publicCustomer(tenantId, call)).value.id).toBe(publicOne.id);
    const { value: ordinary } = await directory.saveCustomer({ tenantId, customer: { title: "C" } }, call);
    const pair = await accounts.loginPublic(publicOne.id, call);
    const principal = await accounts.authenticate(pair.token, call);
    expect(principal).toMatchObject({ isPublic: true, userId: nullId, customerId: publicOne.id, tenantId });
    expect(await codeOf(accounts.loginPublic(ordinary.id, call))).toBe("identity.credentials");
  });
});

describe("API keys (rest-semantics 2.14)", () => {
  it("act as their user until disabled, expired or removed", async () => {
    const { accounts, apiKeys, user, tenantId, clock } = await signedIn();
    const draft = { tenantId, userId: user.id, description: "d", enabled: true };
    const { key, value } = await apiKeys.create({ ...draft, expirationTime: 0 }, call);
    expect(await accounts.authenticateApiKey(value, call)).toMatchObject({
      userId: user.id,
      authority: "TENANT_ADMIN",
    });
    expect(JSON.stringify(await apiKeys.get(key.id, call))).not.toContain(value);
    await apiKeys.change(key.id, { enabled: false }, call);
    expect(await codeOf(accounts.authenticateApiKey(value, call))).toBe("identity.inactive");
    await apiKeys.remove(key.id, call);
    expect(await codeOf(accounts.authenticateApiKey(value, call))).toBe("identity.credentials");
    const brief = await apiKeys.create({ ...draft, expirationTime: clock.now + 10 }, call);
    clock.now += 10;
    expect(await codeOf(accounts.authenticateApiKey(brief.value, call))).toBe("identity.inactive");
  });
});

describe("directory (rest-semantics 6)", () => {
  it("refuses taken names and mail addresses, or finds free ones", async () => {
    const { directory, tenantId, user } = await withUser();
    const save = (nameConflict?: { policy: "UNIQUIFY"; strategy: "INCREMENTAL" }) =>
      directory.saveCustomer({ tenantId, customer: { title: "C" }, ...(nameConflict ? { nameConflict } : {}) }, call);
    await save();
    await expect(save()).rejects.toThrow("Customer with such title already exists!");
    const free = await save({ policy: "UNIQUIFY", strategy: "INCREMENTAL" });
    expect(free.value.title).toBe("C_1");
    const again = { email: user.email, authority: "TENANT_ADMIN" as const, tenantId };
    await expect(directory.saveUser(again, call)).rejects.toThrow("User with email 'ta@example.org' already present");
  });

  it("refuses an old version and takes none for the newest", async () => {
    const { directory, tenantId } = await withUser();
    const { value, version } = await directory.saveTenant({ id: tenantId, title: "T2", version: 1 }, call);
    expect([value.title, version]).toEqual(["T2", 2]);
    const stale = directory.saveTenant({ id: tenantId, title: "T3", version: 1 }, call);
    await expect(stale).rejects.toMatchObject({
      code: "record.conflict",
      message: "Tenant was already changed by someone else",
    });
    expect((await directory.saveTenant({ id: tenantId, title: "T4", version: null }, call)).version).toBe(3);
  });
});
