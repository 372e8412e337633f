import { randomBytes } from "node:crypto";
import {
  type CallOptions,
  type EntityStore,
  isFault,
  type LaunchOptions,
  type Log,
  nullId,
  putOne,
  type ReadyNotes,
} from "@heddle/plugin-sdk";
import type { UserAccounts } from "./accounts.ts";
import { secretCollection } from "./credentials.ts";
import type { StoredDirectory } from "./directory.ts";
import { drawPassword } from "./passwords.ts";

const keyId = "token-signing-key";
/** 512 bits, what HS512 asks for. */
const keyBytes = 64;
const administrator = "sysadmin@thingsboard.org";
/** The password of the sample installation, which everybody knows (rest-semantics 7.9). */
const samplePassword = "sysadmin";

/** The key that signs tokens; drawn at the first start. */
export async function signingKey(entities: EntityStore, call: CallOptions): Promise<Buffer> {
  const secrets = entities.collection(secretCollection);
  const find = async () => (await secrets.get([keyId], call))[0]?.value.key;
  let key = await find();
  if (key === undefined) {
    try {
      const value = { id: keyId, key: randomBytes(keyBytes).toString("base64") } as const;
      key = (await putOne(secrets, { value, expect: "absent" }, call)).value.key;
    } catch (error) {
      if (!isFault(error) || error.code !== "store.exists") throw error;
      key = await find();
    }
  }
  return Buffer.from(key ?? "", "base64");
}

interface Parts {
  readonly directory: StoredDirectory;
  readonly accounts: UserAccounts;
  readonly launch: LaunchOptions;
  readonly notes: ReadyNotes;
  readonly log: Log;
}

/** Somebody must be able to sign in: makes the system administrator and says once how. */
export async function ensureAdministrator(parts: Parts, call: CallOptions): Promise<void> {
  const { directory, accounts, launch, notes, log } = parts;
  await directory.defaultTenantProfile(call);
  const where = { authority: "SYS_ADMIN", tenantId: nullId };
  const { items } = await directory.users.find({ where, limit: 1 }, call);
  const existing = items[0]?.value.id;
  if (existing !== undefined && (await accounts.state(existing, call)).activated) return;
  const draft = { email: administrator, authority: "SYS_ADMIN" as const, tenantId: nullId, customerId: null };
  const userId = existing ?? (await directory.saveUser(draft, call)).value.id;
  const password = launch.demo ? samplePassword : drawPassword();
  await accounts.setPassword(userId, password, call);
  log.info("system administrator made", { email: administrator });
  if (!launch.demo) {
    const lines = [`${administrator}   password: ${password}`, "Shown this once; change it after signing in."];
    notes.add({ title: "First sign-in", lines });
  }
}
