import {
  batchesOf,
  type CallOptions,
  type Collection,
  type CollectionSpec,
  type CustomerDocument,
  change,
  checkEmail,
  checkEntityLimit,
  checkTexts,
  customerCollection,
  customerView,
  type Directory,
  type Doer,
  type Draft,
  type EntityData,
  type EntityStore,
  Fault,
  invalid,
  type Lanes,
  type NameConflict,
  namesToTry,
  nullId,
  type Plain,
  publishEntityEvent,
  putOne,
  type Records,
  type Removal,
  recordsOf,
  requireText,
  type Stored,
  type TenantDocument,
  type TenantProfileDocument,
  takenFields,
  tenantCollection,
  tenantProfileCollection,
  type UserDocument,
  userCollection,
  type World,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import type { UserAccounts } from "./accounts.ts";
import { missing } from "./faults.ts";
import { checkRateLimits } from "./rate-limit-texts.ts";
import { tenantProfileData } from "./tenant-profile-data.ts";
import { checkUser } from "./user-rules.ts";
import type { StoredUserSettings } from "./user-settings.ts";

const publicTitle = "Public";
const defaultProfileName = "Default";

interface Deps {
  readonly world: World;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
}

/** Tenants, customers and users as the store knows them. */
export class StoredDirectory implements Directory, EntityData {
  readonly tenants: Records<TenantDocument>;
  readonly tenantProfiles: Records<TenantProfileDocument>;
  readonly customers: Records<CustomerDocument>;
  readonly users: Records<UserDocument>;
  readonly #deps: Deps;
  readonly #accounts: UserAccounts;
  readonly #settings: StoredUserSettings;
  readonly #tenants: Collection<TenantDocument>;
  readonly #profiles: Collection<TenantProfileDocument>;
  readonly #customers: Collection<CustomerDocument>;
  readonly #users: Collection<UserDocument>;

  constructor(deps: Deps, accounts: UserAccounts, settings: StoredUserSettings) {
    this.#deps = deps;
    this.#accounts = accounts;
    this.#settings = settings;
    const open = <T extends object>(spec: CollectionSpec<T>) => deps.entities.collection(spec);
    this.#tenants = open(tenantCollection);
    this.#profiles = open(tenantProfileCollection);
    this.#customers = open(customerCollection);
    this.#users = open(userCollection);
    this.tenants = recordsOf(this.#tenants);
    this.tenantProfiles = recordsOf(this.#profiles);
    this.customers = recordsOf(this.#customers);
    this.users = recordsOf(this.#users);
  }

  async saveTenant(draft: Draft<TenantDocument>, call: CallOptions): Promise<Stored<TenantDocument>> {
    const title = requireText("Tenant title", draft.title);
    checkTexts({ title, region: draft.region, ...contactTexts(draft) });
    checkEmail(draft.email);
    const tenantProfileId = draft.tenantProfileId ?? (await this.defaultTenantProfile(call)).value.id;
    if ((await this.tenantProfiles.get(tenantProfileId, call)) === undefined) {
      throw invalid(`Tenant profile with id [${tenantProfileId}] does not exist`);
    }
    const content = {
      title,
      tenantProfileId,
      region: draft.region ?? "Global",
      ...contact(draft),
      additionalInfo: draft.additionalInfo ?? null,
    };
    return this.#write(this.#tenants, { kind: "Tenant", draft, content, names: undefined }, call);
  }

  async saveTenantProfile(
    draft: Draft<TenantProfileDocument>,
    call: CallOptions,
  ): Promise<Stored<TenantProfileDocument>> {
    const name = requireText("Tenant profile name", draft.name);
    checkTexts({ name });
    const given = draft.profileData;
    if (given !== null && given !== undefined && typeof given["configuration"] !== "object") {
      throw invalid("Tenant profile data configuration should be specified!");
    }
    checkRateLimits((given?.["configuration"] ?? {}) as Readonly<Record<string, unknown>>);
    const isDefault = draft.default ?? false;
    if (isDefault) {
      const { items } = await this.#profiles.find({ where: { default: true }, limit: 1 }, call);
      if (items.some(({ value }) => value.id !== draft.id)) throw invalid("Another default tenant profile is present!");
    }
    const content = {
      name,
      description: draft.description ?? null,
      isolatedTbRuleEngine: draft.isolatedTbRuleEngine ?? false,
      default: isDefault,
      profileData: tenantProfileData(given),
    };
    try {
      return await this.#write(this.#profiles, { kind: "Tenant profile", draft, content, names: undefined }, call);
    } catch (error) {
      if (takenFields(error) === undefined) throw error;
      throw invalid("Tenant profile with such name already exists!");
    }
  }

  async defaultTenantProfile(call: CallOptions): Promise<Stored<TenantProfileDocument>> {
    const find = async () => (await this.#profiles.find({ where: { default: true }, limit: 1 }, call)).items[0];
    const found = await find();
    if (found !== undefined) return found;
    const draft = { name: defaultProfileName, description: "Default tenant profile", default: true };
    try {
      return await this.saveTenantProfile(draft, call);
    } catch (error) {
      // Somebody else may have made it at the same moment.
      const other = await find();
      if (other === undefined) throw error;
      return other;
    }
  }

  async removeTenantProfile(id: string, call: CallOptions): Promise<void> {
    const profile = await this.tenantProfiles.get(id, call);
    if (profile === undefined) throw missing("Tenant profile", id);
    if (profile.value.default) throw invalid("Deletion of Default Tenant Profile is prohibited!");
    const { total } = await this.#tenants.find({ where: { tenantProfileId: id }, limit: 1 }, call);
    if (total > 0) throw invalid("The tenant profile referenced by the tenants cannot be deleted!");
    await this.#profiles.remove([id], call);
  }

  async saveCustomer(
    what: {
      readonly tenantId: string;
      readonly customer: Draft<CustomerDocument>;
      readonly nameConflict?: NameConflict;
      readonly by?: Doer;
    },
    call: CallOptions,
  ): Promise<Stored<CustomerDocument>> {
    const { tenantId, customer, nameConflict } = what;
    const title = requireText("Customer title", customer.title);
    checkTexts({ title, ...contactTexts(customer) });
    checkEmail(customer.email);
    if (title === publicTitle && customer.additionalInfo?.["isPublic"] !== true) {
      throw invalid("'Public' title for customer is system reserved!");
    }
    if (customer.id === undefined) {
      const count = async () => (await this.#customers.find({ where: { tenantId }, limit: 1 }, call)).total;
      const limit = { tenantId, entityType: "CUSTOMER", limit: "maxCustomers", label: "Customers", count };
      await checkEntityLimit(this.#deps.entities, limit, call);
    }
    const content = { tenantId, title, ...contact(customer), ...kept(customer) };
    const write = { kind: "Customer", draft: customer, content, names: { field: "title" as const, nameConflict } };
    const stored = await this.#write(this.#customers, write, call);
    await this.#tell(customer.id === undefined ? "ENTITY_CREATED" : "ENTITY_UPDATED", stored, what.by, call);
    return stored;
  }

  async publicCustomer(tenantId: string, call: CallOptions): Promise<Stored<CustomerDocument>> {
    const find = async () =>
      (await this.#customers.find({ where: { tenantId, title: publicTitle }, limit: 1 }, call)).items[0];
    const found = await find();
    if (found !== undefined) return found;
    try {
      const customer = { title: publicTitle, additionalInfo: { isPublic: true } };
      return await this.saveCustomer({ tenantId, customer }, call);
    } catch (error) {
      const other = await find();
      if (other === undefined) throw error;
      return other;
    }
  }

  async saveUser(draft: Draft<UserDocument>, call: CallOptions): Promise<Stored<UserDocument>> {
    const before = draft.id === undefined ? undefined : await this.users.get(draft.id, call);
    if (draft.id !== undefined && before === undefined) throw missing("User", draft.id);
    const content = checkUser(draft, before?.value);
    if (content.tenantId !== nullId && (await this.tenants.get(content.tenantId, call)) === undefined) {
      throw invalid("User is referencing to non-existent tenant!");
    }
    if (content.customerId !== null) {
      const customer = await this.customers.get(content.customerId, call);
      if (customer?.value.tenantId !== content.tenantId) throw invalid("User is referencing to non-existent customer!");
    }
    if (before === undefined) {
      const { tenantId } = content;
      const count = async () => (await this.#users.find({ where: { tenantId }, limit: 1 }, call)).total;
      const limit = { tenantId, entityType: "USER", limit: "maxUsers", label: "Users", count };
      await checkEntityLimit(this.#deps.entities, limit, call);
    }
    try {
      const stored = await this.#write(this.#users, { kind: "User", draft, content, names: undefined }, call);
      if (before === undefined) await this.#accounts.open(stored.value, call);
      return stored;
    } catch (error) {
      if (takenFields(error) === undefined) throw error;
      throw invalid(`User with email '${content.email}' already present in database!`);
    }
  }

  async hide({ tenantId, entity, by }: Removal, call: CallOptions): Promise<void> {
    switch (entity.entityType) {
      case "TENANT":
        await this.#tenants.remove([entity.id], call);
        return this.#removeUsers({ tenantId: entity.id }, call);
      case "CUSTOMER": {
        const [customer] = await this.#customers.get([entity.id], call);
        await this.#removeUsers({ tenantId, customerId: entity.id }, call);
        if ((await this.#customers.remove([entity.id], call)) > 0 && customer !== undefined) {
          await this.#tell("ENTITY_DELETED", customer, by, call);
        }
        return;
      }
      case "USER":
        await this.#users.remove([entity.id], call);
        await this.#settings.forget([entity.id], call);
        return this.#accounts.close([entity.id], call);
    }
  }

  async forget(what: Removal, call: CallOptions): Promise<void> {
    await this.hide(what, call);
    if (what.entity.entityType !== "TENANT") return;
    for await (const batch of batchesOf(this.#customers, { tenantId: what.entity.id }, call)) {
      await this.#customers.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
  }

  async #removeUsers(where: Readonly<Record<string, string>>, call: CallOptions): Promise<void> {
    for await (const batch of batchesOf(this.#users, where, call)) {
      const ids = batch.map(({ value }) => value.id);
      // Void tokens first: a crash in between must not leave a user who can sign in but is listed nowhere.
      await this.#accounts.close(ids, call);
      await this.#settings.forget(ids, call);
      await this.#users.remove(ids, call);
    }
  }

  #tell(type: string, customer: Stored<CustomerDocument>, by: Doer | undefined, call: CallOptions): Promise<void> {
    const { id, tenantId, title } = customer.value;
    const originator = { entityType: "CUSTOMER", id };
    const data = writeTypedJson(customerView(customer) as unknown as Plain);
    return publishEntityEvent(
      this.#deps,
      { tenantId, type, originator, customerId: id, entityName: title, by, data },
      call,
    );
  }

  /** Creates or replaces; the names of `names` are tried while they are taken. */
  async #write<T extends { readonly id: string; readonly createdTime: number }>(
    collection: Collection<T>,
    what: {
      readonly kind: string;
      readonly draft: Draft<T>;
      readonly content: Omit<T, "id" | "createdTime">;
      readonly names: { readonly field: keyof T & string; readonly nameConflict: NameConflict | undefined } | undefined;
    },
    call: CallOptions,
  ): Promise<Stored<T>> {
    const { world } = this.#deps;
    const { kind, draft, names } = what;
    const content = what.content as Omit<T, "id" | "createdTime"> & Record<string, unknown>;
    const first = names === undefined ? "" : String(content[names.field]);
    for (const name of namesToTry(first, names?.nameConflict, () => world.uuid())) {
      const named = names === undefined ? content : { ...content, [names.field]: name };
      try {
        if (draft.id === undefined) {
          const value = { ...named, id: world.uuid(), createdTime: world.now() } as unknown as T;
          return await putOne(collection, { value, expect: "absent" }, call);
        }
        const to = ({ value: { id, createdTime } }: Stored<T>) => ({ ...named, id, createdTime }) as unknown as T;
        const changed = await change(collection, { id: draft.id as string, kind, version: draft.version, to }, call);
        if (changed === undefined) throw missing(kind, draft.id as string);
        return changed.after;
      } catch (error) {
        const taken = takenFields(error);
        if (taken === undefined || names === undefined) throw error;
        if (taken.includes("externalId")) throw invalid(`${kind} with such external id already exists!`);
      }
    }
    throw new Fault("invalid", "input.invalid", `${kind} with such title already exists!`);
  }
}

type Contact = Pick<TenantDocument, "country" | "state" | "city" | "address" | "address2" | "zip" | "phone" | "email">;

function contact(draft: Partial<Contact>): Contact {
  const { country = null, state = null, city = null, address = null } = draft;
  const { address2 = null, zip = null, phone = null, email = null } = draft;
  return { country, state, city, address, address2, zip, phone, email };
}

/** By the names that messages use (rest-semantics 6.2). */
function contactTexts({ zip, ...rest }: Partial<Contact>): Record<string, string | null | undefined> {
  return { ...contact(rest), "zip or postal code": zip };
}

function kept(customer: Draft<CustomerDocument>): Pick<CustomerDocument, "externalId" | "additionalInfo"> {
  return { externalId: customer.externalId ?? null, additionalInfo: customer.additionalInfo ?? null };
}
