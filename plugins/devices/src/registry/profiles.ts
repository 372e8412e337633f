import {
  type CallOptions,
  type Collection,
  change,
  type DeviceDocument,
  type DeviceProfileDocument,
  type Doer,
  type Draft,
  deviceCollection,
  deviceProfileCollection,
  deviceProfileView,
  type EntityStore,
  Fault,
  invalid,
  type Lanes,
  type Plain,
  publishEntityEvent,
  putOne,
  type Stored,
  takenFields,
  type World,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { checkProfile, plainProfile } from "./profile-rules.ts";
import type { References } from "./references.ts";

const defaultName = "default";

export interface ProfileDeps {
  readonly world: World;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
}

interface Saving {
  readonly tenantId: string;
  readonly profile: Draft<DeviceProfileDocument>;
  readonly by?: Doer;
}

/** Device profiles; whoever uses one is told elsewhere. */
export class DeviceProfiles {
  readonly collection: Collection<DeviceProfileDocument>;
  readonly #deps: ProfileDeps;
  readonly #references: References;
  readonly #devices: Collection<DeviceDocument>;

  constructor(deps: ProfileDeps, references: References) {
    this.#deps = deps;
    this.#references = references;
    this.collection = deps.entities.collection(deviceProfileCollection);
    this.#devices = deps.entities.collection(deviceCollection);
  }

  async byDefault(tenantId: string, call: CallOptions): Promise<Stored<DeviceProfileDocument>> {
    const { items } = await this.collection.find({ where: { tenantId, default: true }, limit: 1 }, call);
    return items[0] ?? this.byName({ tenantId, name: defaultName, isDefault: true }, call);
  }

  /** The profile of that name; a plain one is made when there is none. */
  async byName(
    {
      tenantId,
      name,
      isDefault = false,
    }: { readonly tenantId: string; readonly name: string; readonly isDefault?: boolean },
    call: CallOptions,
  ): Promise<Stored<DeviceProfileDocument>> {
    const find = async () => (await this.collection.find({ where: { tenantId, name }, limit: 1 }, call)).items[0];
    const found = await find();
    if (found !== undefined) return found;
    const { world } = this.#deps;
    const value = { ...plainProfile(name, isDefault), id: world.uuid(), tenantId, createdTime: world.now() };
    try {
      return await putOne(this.collection, { value, expect: "absent" }, call);
    } catch (error) {
      // Somebody else may have made it at the same moment.
      const other = takenFields(error) === undefined ? undefined : await find();
      if (other === undefined) throw error;
      return other;
    }
  }

  async save({ tenantId, profile, by }: Saving, call: CallOptions): Promise<Stored<DeviceProfileDocument>> {
    const content = checkProfile(profile);
    await this.#checkReferences(tenantId, profile, call);
    let stored: Stored<DeviceProfileDocument>;
    try {
      if (profile.id === undefined) {
        const { world } = this.#deps;
        const value = { ...content, id: world.uuid(), tenantId, createdTime: world.now() };
        stored = await putOne(this.collection, { value, expect: "absent" }, call);
      } else stored = await this.#replace(profile.id, { tenantId, content, version: profile.version }, call);
    } catch (error) {
      throw profileFault(error, content.provisionType);
    }
    await this.tell(profile.id === undefined ? "ENTITY_CREATED" : "ENTITY_UPDATED", { profile: stored, by }, call);
    return stored;
  }

  async makeDefault(tenantId: string, id: string, call: CallOptions): Promise<Stored<DeviceProfileDocument>> {
    const set = (profileId: string, isDefault: boolean) => {
      const to = ({ value }: Stored<DeviceProfileDocument>) => ({ ...value, default: isDefault });
      return change(this.collection, { id: profileId, kind: "Device profile", to }, call);
    };
    const made = await set(id, true);
    if (made === undefined) throw missingProfile(id);
    const { items } = await this.collection.find({ where: { tenantId, default: true }, limit: 100 }, call);
    for (const { value } of items) if (value.id !== id) await set(value.id, false);
    return made.after;
  }

  async remove(what: { readonly profileId: string; readonly by?: Doer }, call: CallOptions): Promise<void> {
    const [profile] = await this.collection.get([what.profileId], call);
    if (profile === undefined) throw missingProfile(what.profileId);
    if (profile.value.default) throw invalid("Deletion of Default Device Profile is prohibited!");
    if (await this.#isUsed(what.profileId, call)) {
      throw invalid("The device profile referenced by the devices cannot be deleted!");
    }
    await this.collection.remove([what.profileId], call);
    await this.tell("ENTITY_DELETED", { profile, by: what.by }, call);
  }

  async #replace(
    id: string,
    to: {
      readonly tenantId: string;
      readonly content: ReturnType<typeof checkProfile>;
      readonly version: number | null | undefined;
    },
    call: CallOptions,
  ): Promise<Stored<DeviceProfileDocument>> {
    const used = await this.#isUsed(id, call);
    const next = ({ value }: Stored<DeviceProfileDocument>) => {
      if (used && value.transportType !== to.content.transportType) {
        throw invalid("Can't change device profile transport type because devices referenced it!");
      }
      return { ...to.content, id, tenantId: value.tenantId, createdTime: value.createdTime };
    };
    const changed = await change(this.collection, { id, kind: "Device profile", version: to.version, to: next }, call);
    if (changed === undefined) throw missingProfile(id);
    return changed.after;
  }

  async #checkReferences(tenantId: string, profile: Draft<DeviceProfileDocument>, call: CallOptions): Promise<void> {
    if (profile.default === true) {
      const { items } = await this.collection.find({ where: { tenantId, default: true }, limit: 1 }, call);
      if (items.some(({ value }) => value.id !== profile.id)) {
        throw invalid("Another default device profile is present in scope of current tenant!");
      }
    }
    await this.#references.checkRuleChain({ tenantId, id: profile.defaultRuleChainId }, call);
    const { id: profileId, firmwareId, softwareId } = profile;
    await this.#references.checkPackages({ tenantId, profileId, firmwareId, softwareId }, call);
  }

  async #isUsed(deviceProfileId: string, call: CallOptions): Promise<boolean> {
    return (await this.#devices.find({ where: { deviceProfileId }, limit: 1 }, call)).total > 0;
  }

  tell(
    type: string,
    { profile, by }: { readonly profile: Stored<DeviceProfileDocument>; readonly by: Doer | undefined },
    call: CallOptions,
  ): Promise<void> {
    const { id, tenantId, name } = profile.value;
    const originator = { entityType: "DEVICE_PROFILE", id };
    const data = writeTypedJson(withoutProof(deviceProfileView(profile)) as unknown as Plain);
    return publishEntityEvent(this.#deps, { tenantId, type, originator, entityName: name, by, data }, call);
  }
}

/** Chains log what they get: who has key and secret of a profile can make devices of it. */
function withoutProof(view: ReturnType<typeof deviceProfileView>): typeof view {
  const { provisionConfiguration, ...profileData } = view.profileData;
  const { type } = (provisionConfiguration ?? {}) as { type?: unknown };
  return { ...view, provisionDeviceKey: null, profileData: { ...profileData, provisionConfiguration: { type } } };
}

export function missingProfile(id: string): Fault {
  return new Fault("missing", "record.missing", `Device profile with id [${id}] is not found`);
}

function profileFault(error: unknown, provisionType: string): unknown {
  const taken = takenFields(error);
  if (taken === undefined) return error;
  if (taken.includes("provisionDeviceKey")) {
    const noun = provisionType === "X509_CERTIFICATE_CHAIN" ? "certificate" : "provision device key";
    return invalid(`Device profile with such ${noun} already exists!`);
  }
  return invalid("Device profile with such name already exists!");
}
