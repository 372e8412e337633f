import {
  type CallOptions,
  type Collection,
  type CredentialsDraft,
  change,
  checkEntityLimit,
  customerCollection,
  type DeviceControl,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  type DeviceProfileDocument,
  type DeviceRegistry,
  type DeviceSave,
  type Doer,
  type Draft,
  deviceCollection,
  type EntityStore,
  Fault,
  invalid,
  type Lanes,
  namesToTry,
  putOne,
  type Records,
  type RpcDocument,
  recordsOf,
  rpcCollection,
  type Stored,
  type Telemetry,
  takenFields,
  type World,
} from "@heddle/plugin-sdk";
import { drawToken } from "./credentials-rules.ts";
import { DeviceNews } from "./device-news.ts";
import { checkDevice, type DeviceContent, deviceContent } from "./device-rules.ts";
import { ProfileFollowers } from "./profile-followers.ts";
import { DeviceProfiles } from "./profiles.ts";
import { References } from "./references.ts";
import { StoredCredentials } from "./stored-credentials.ts";

export interface RegistryDeps {
  readonly world: World;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
  readonly telemetry: Telemetry;
  readonly control: () => DeviceControl;
}

/** Devices, credentials and profiles in the store; tells sessions and rule chains what changed. */
export class StoredDevices implements DeviceRegistry {
  readonly devices: Records<DeviceDocument>;
  readonly profiles: Records<DeviceProfileDocument>;
  readonly rpcs: Records<RpcDocument>;
  readonly #deps: RegistryDeps;
  readonly #profiles: DeviceProfiles;
  readonly #credentials: StoredCredentials;
  readonly #references: References;
  readonly #news: DeviceNews;
  readonly #followers: ProfileFollowers;
  readonly #devices: Collection<DeviceDocument>;
  readonly #rpcs: Collection<RpcDocument>;

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
    this.#credentials = new StoredCredentials(deps);
    this.#references = new References(deps.entities);
    this.#news = new DeviceNews(deps);
    this.#profiles = new DeviceProfiles(deps, this.#references);
    this.#followers = new ProfileFollowers(deps, this.#news);
    this.#devices = deps.entities.collection(deviceCollection);
    this.#rpcs = deps.entities.collection(rpcCollection);
    this.devices = recordsOf(this.#devices);
    this.profiles = recordsOf(this.#profiles.collection);
    this.rpcs = recordsOf(this.#rpcs);
  }

  async start(): Promise<void> {
    this.#followers.start();
  }

  async save(what: DeviceSave, call: CallOptions): Promise<Stored<DeviceDocument>> {
    const { tenantId, device, by, metadata } = what;
    checkDevice(device);
    await this.#references.checkCustomer({ tenantId, id: device.customerId }, call);
    const profile = (await this.#profileOf(what, call)).value;
    const content = deviceContent(what, profile);
    await this.#references.checkPackages({ ...content, profileId: profile.id }, call);
    const isNew = device.id === undefined;
    if (isNew) await this.#checkLimit(tenantId, call);
    const stored = isNew ? await this.#create(what, content, call) : await this.#replace(what, content, call);
    if (!isNew || hasPackage(content) || hasPackage(profile)) {
      await this.#news.notify({ kind: "updated", tenantId, deviceId: stored.value.id }, call);
    }
    await this.#news.tell(isNew ? "ENTITY_CREATED" : "ENTITY_UPDATED", { device: stored, by, profile, metadata }, call);
    return stored;
  }

  /** Credentials claim their id first: when that is taken nothing is stored. */
  async #create(what: DeviceSave, content: DeviceContent, call: CallOptions): Promise<Stored<DeviceDocument>> {
    const { world, telemetry } = this.#deps;
    const id = world.uuid();
    const createdTime = world.now();
    const { tenantId } = what;
    const draft = what.credentials ?? { credentialsType: "ACCESS_TOKEN", credentialsId: drawToken() };
    const undo = await this.#credentials.claim({ tenantId, deviceId: id, draft }, call);
    let stored: Stored<DeviceDocument>;
    try {
      stored = await this.#named(what, content, (named) =>
        putOne(this.#devices, { value: { ...named, id, createdTime }, expect: "absent" }, call),
      );
    } catch (error) {
      await undo();
      throw error;
    }
    const write = {
      tenantId,
      entity: { entityType: "DEVICE", id },
      scope: "SERVER_SCOPE" as const,
      notifyDevice: false,
    };
    await telemetry.saveAttributes({ ...write, values: { active: false } }, call);
    return stored;
  }

  async #replace(what: DeviceSave, content: DeviceContent, call: CallOptions): Promise<Stored<DeviceDocument>> {
    const { id = "", version } = what.device;
    return this.#named(what, content, async (named) => {
      const to = ({ value }: Stored<DeviceDocument>) => ({ ...named, id, createdTime: value.createdTime });
      const changed = await change(this.#devices, { id, kind: "Device", version, to }, call);
      if (changed === undefined) throw missingDevice(id);
      return changed.after;
    });
  }

  async #named(
    { nameConflict }: DeviceSave,
    content: DeviceContent,
    put: (named: DeviceContent) => Promise<Stored<DeviceDocument>>,
  ): Promise<Stored<DeviceDocument>> {
    for (const name of namesToTry(content.name, nameConflict, () => this.#deps.world.uuid())) {
      try {
        return await put({ ...content, name });
      } catch (error) {
        const taken = takenFields(error);
        if (taken === undefined) throw error;
        if (taken.includes("externalId")) throw invalid("Device with such external id already exists!");
      }
    }
    throw invalid("Device with such name already exists!");
  }

  #checkLimit(tenantId: string, call: CallOptions): Promise<void> {
    const count = async () => (await this.#devices.find({ where: { tenantId }, limit: 1 }, call)).total;
    const limit = { tenantId, entityType: "DEVICE", limit: "maxDevices", label: "Devices", count };
    return checkEntityLimit(this.#deps.entities, limit, call);
  }

  /** The id decides; without one the name of the type does, and makes a profile if need be (rest-semantics 15). */
  async #profileOf({ tenantId, device }: DeviceSave, call: CallOptions): Promise<Stored<DeviceProfileDocument>> {
    const { deviceProfileId, type } = device;
    if (deviceProfileId === undefined || deviceProfileId === null) {
      if (type === undefined || type === null || type === "") return this.#profiles.byDefault(tenantId, call);
      return this.#profiles.byName({ tenantId, name: type }, call);
    }
    const profile = await this.profiles.get(deviceProfileId, call);
    if (profile === undefined) throw invalid("Device is referencing non existing device profile!");
    if (profile.value.tenantId !== tenantId) {
      throw invalid("Device can`t be referencing to device profile from different tenant!");
    }
    return profile;
  }

  async annotate(
    what: {
      readonly tenantId: string;
      readonly deviceId: string;
      readonly members: Readonly<Record<string, unknown>>;
    },
    call: CallOptions,
  ): Promise<Stored<DeviceDocument> | undefined> {
    const { tenantId, deviceId, members } = what;
    const to = ({ value }: Stored<DeviceDocument>) => ({
      ...value,
      additionalInfo: { ...value.additionalInfo, ...members },
    });
    const changed = await change(this.#devices, { id: deviceId, kind: "Device", to }, call);
    if (changed === undefined) return undefined;
    await this.#news.notify({ kind: "updated", tenantId, deviceId }, call);
    return changed.after;
  }

  async assign(
    what: {
      readonly tenantId: string;
      readonly deviceId: string;
      readonly customerId: string | null;
      readonly onlyFree?: boolean;
      readonly by?: Doer;
    },
    call: CallOptions,
  ): Promise<Stored<DeviceDocument>> {
    const { tenantId, deviceId, customerId, onlyFree = false, by } = what;
    const device = await this.devices.get(deviceId, call);
    if (!onlyFree && customerId !== null && device?.value.customerId === customerId) return device;
    const to = ({ value }: Stored<DeviceDocument>) => {
      if (customerId === null && value.customerId === null) throw invalid("Device isn't assigned to any customer!");
      if (onlyFree && value.customerId !== null) {
        throw new Fault("conflict", "registry.assigned", "Device is assigned to a customer already!");
      }
      return { ...value, customerId };
    };
    const changed = await change(this.#devices, { id: deviceId, kind: "Device", to }, call);
    if (changed === undefined) throw missingDevice(deviceId);
    await this.#news.notify({ kind: "updated", tenantId, deviceId }, call);
    const customers = this.#deps.entities.collection(customerCollection);
    const [customer] = await customers.get([customerId ?? changed.before.value.customerId ?? ""], call);
    const word = customerId === null ? "unassigned" : "assigned";
    const metadata = {
      [`${word}CustomerId`]: customer?.value.id ?? "",
      [`${word}CustomerName`]: customer?.value.title ?? "",
    };
    const type = customerId === null ? "ENTITY_UNASSIGNED" : "ENTITY_ASSIGNED";
    const profile = await this.#profileNow(changed.after, call);
    await this.#news.tell(type, { device: changed.after, by, profile, metadata }, call);
    return changed.after;
  }

  /** Packages stay behind with the tenant that has them. */
  async moveToTenant(
    what: { readonly tenantId: string; readonly deviceId: string; readonly to: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<DeviceDocument>> {
    const { deviceId, to: tenantId, by } = what;
    const profile = (await this.#profiles.byDefault(tenantId, call)).value;
    const to = ({ value }: Stored<DeviceDocument>): DeviceDocument => {
      const type = { deviceProfileId: profile.id, type: profile.name };
      return { ...value, ...type, tenantId, customerId: null, firmwareId: null, softwareId: null };
    };
    const moved = await this.#named({ ...what, device: {} }, await this.#contentOf(deviceId, call), async () => {
      const changed = await change(this.#devices, { id: deviceId, kind: "Device", to }, call);
      if (changed === undefined) throw missingDevice(deviceId);
      return changed.after;
    });
    await this.#credentials.move(deviceId, tenantId, call);
    await this.#news.notify({ kind: "deleted", tenantId: what.tenantId, deviceId }, call);
    await this.#news.notify({ kind: "updated", tenantId, deviceId }, call);
    await this.#news.tell("ENTITY_ASSIGNED_FROM_TENANT", { device: moved, by, profile }, call);
    return moved;
  }

  async #profileNow({ value }: Stored<DeviceDocument>, call: CallOptions): Promise<DeviceProfileDocument | undefined> {
    return (await this.profiles.get(value.deviceProfileId, call))?.value;
  }

  async #contentOf(deviceId: string, call: CallOptions): Promise<DeviceDocument> {
    const device = await this.devices.get(deviceId, call);
    if (device === undefined) throw missingDevice(deviceId);
    return device.value;
  }

  credentials(deviceId: string, call: CallOptions): Promise<Stored<DeviceCredentialsDocument> | undefined> {
    return this.#credentials.of(deviceId, call);
  }

  async saveCredentials(
    what: { readonly tenantId: string; readonly credentials: CredentialsDraft; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<DeviceCredentialsDocument>> {
    const { tenantId, credentials: draft, by } = what;
    const device = await this.devices.get(draft.deviceId ?? "", call);
    if (device?.value.tenantId !== tenantId) throw invalid("Can't assign device credentials to non-existent device!");
    const { id } = draft;
    if (id === undefined) throw invalid("Credentials for this device are already specified!");
    const saved = await this.#credentials.save(device.value.id, { ...draft, id }, call);
    if (saved === undefined) throw invalid("Unable to update non-existent device credentials!");
    await this.#news.notify({ kind: "credentials", tenantId, deviceId: device.value.id }, call);
    const profile = await this.#profileNow(device, call);
    await this.#news.tell("CREDENTIALS_UPDATED", { device, by, profile }, call);
    return saved;
  }

  defaultProfile(tenantId: string, call: CallOptions): Promise<Stored<DeviceProfileDocument>> {
    return this.#profiles.byDefault(tenantId, call);
  }

  async saveProfile(
    what: { readonly tenantId: string; readonly profile: Draft<DeviceProfileDocument>; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<DeviceProfileDocument>> {
    const stored = await this.#profiles.save(what, call);
    if (what.profile.id !== undefined) await this.#followers.changed(stored.value, call);
    return stored;
  }

  makeDefault(tenantId: string, profileId: string, call: CallOptions): Promise<Stored<DeviceProfileDocument>> {
    return this.#profiles.makeDefault(tenantId, profileId, call);
  }

  removeProfile(
    what: { readonly tenantId: string; readonly profileId: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<void> {
    return this.#profiles.remove(what, call);
  }

  async removeRpc(id: string, call: CallOptions): Promise<void> {
    const [rpc] = await this.#rpcs.get([id], call);
    if (rpc === undefined) throw new Fault("missing", "record.missing", `Rpc with id [${id}] is not found`);
    const { tenantId, deviceId, status } = rpc.value;
    if (["QUEUED", "SENT", "DELIVERED"].includes(status))
      await this.#deps.control().cancel({ tenantId, deviceId, id }, call);
    await this.#rpcs.remove([id], call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#followers.stop();
  }
}

const hasPackage = ({ firmwareId, softwareId }: Pick<DeviceDocument, "firmwareId" | "softwareId">): boolean =>
  Boolean(firmwareId) || Boolean(softwareId);

export function missingDevice(id: string): Fault {
  return new Fault("missing", "record.missing", `Device with id [${id}] is not found`);
}
