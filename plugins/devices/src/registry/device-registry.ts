import {
  type CallOptions,
  type Collection,
  type CredentialsDraft,
  type CustomerDocument,
  change,
  checkEntityLimit,
  customerCollection,
  type DeviceControl,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  type DeviceEvent,
  type DeviceProfileDocument,
  type DeviceRegistry,
  type DeviceSave,
  type Doer,
  type Draft,
  deviceCollection,
  deviceCredentialsCollection,
  deviceLane,
  deviceView,
  type EntityStore,
  entityKey,
  Fault,
  invalid,
  type Lanes,
  namesToTry,
  type Plain,
  publishEntityEvent,
  putOne,
  type Records,
  type RpcDocument,
  recordsOf,
  rpcCollection,
  type Stored,
  type Telemetry,
  takenFields,
  type World,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { checkCredentials, drawToken } from "./credentials-rules.ts";
import { checkDevice, type DeviceContent, deviceContent } from "./device-rules.ts";
import { DeviceProfiles, missingProfile } from "./profiles.ts";

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
  readonly #devices: Collection<DeviceDocument>;
  readonly #credentials: Collection<DeviceCredentialsDocument>;
  readonly #customers: Collection<CustomerDocument>;
  readonly #rpcs: Collection<RpcDocument>;

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
    this.#profiles = new DeviceProfiles(deps);
    this.#devices = deps.entities.collection(deviceCollection);
    this.#credentials = deps.entities.collection(deviceCredentialsCollection);
    this.#customers = deps.entities.collection(customerCollection);
    this.#rpcs = deps.entities.collection(rpcCollection);
    this.devices = recordsOf(this.#devices);
    this.profiles = recordsOf(this.#profiles.collection);
    this.rpcs = recordsOf(this.#rpcs);
  }

  async save(what: DeviceSave, call: CallOptions): Promise<Stored<DeviceDocument>> {
    checkDevice(what.device);
    await this.#checkCustomer(what, call);
    const profile = await this.#profileOf(what, call);
    const content = deviceContent(what, profile.value);
    const isNew = what.device.id === undefined;
    if (isNew) await this.#checkLimit(what.tenantId, call);
    const stored = isNew ? await this.#create(what, content, call) : await this.#replace(what, content, call);
    await this.#tell(isNew ? "ENTITY_CREATED" : "ENTITY_UPDATED", { device: stored, by: what.by, profile }, call);
    return stored;
  }

  /** Credentials claim their id first: when that is taken nothing is stored. */
  async #create(what: DeviceSave, content: DeviceContent, call: CallOptions): Promise<Stored<DeviceDocument>> {
    const { world, telemetry } = this.#deps;
    const id = world.uuid();
    const createdTime = world.now();
    const draft = what.credentials ?? { credentialsType: "ACCESS_TOKEN", credentialsId: drawToken() };
    const { tenantId } = what;
    const credentials = { ...checkCredentials(draft), id: world.uuid(), tenantId, createdTime, deviceId: id };
    await this.#putCredentials(() => putOne(this.#credentials, { value: credentials, expect: "absent" }, call));
    let stored: Stored<DeviceDocument>;
    try {
      stored = await this.#named(what, content, (named) =>
        putOne(this.#devices, { value: { ...named, id, createdTime }, expect: "absent" }, call),
      );
    } catch (error) {
      await this.#credentials.remove([credentials.id], call);
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
    const stored = await this.#named(what, content, async (named) => {
      const to = ({ value }: Stored<DeviceDocument>) => ({ ...named, id, createdTime: value.createdTime });
      const changed = await change(this.#devices, { id, kind: "Device", version, to }, call);
      if (changed === undefined) throw missingDevice(id);
      return changed.after;
    });
    await this.#notify({ kind: "updated", tenantId: what.tenantId, deviceId: id }, call);
    return stored;
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

  async #checkCustomer({ tenantId, device: { customerId } }: DeviceSave, call: CallOptions): Promise<void> {
    if (customerId === undefined || customerId === null) return;
    const [customer] = await this.#customers.get([customerId], call);
    if (customer === undefined) throw invalid("Can't assign device to non-existent customer!");
    if (customer.value.tenantId !== tenantId) throw invalid("Can't assign device to customer from different tenant!");
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

  async assign(
    what: {
      readonly tenantId: string;
      readonly deviceId: string;
      readonly customerId: string | null;
      readonly by?: Doer;
    },
    call: CallOptions,
  ): Promise<Stored<DeviceDocument>> {
    const { tenantId, deviceId, customerId, by } = what;
    const device = await this.devices.get(deviceId, call);
    if (customerId !== null && device?.value.customerId === customerId) return device;
    const to = ({ value }: Stored<DeviceDocument>) => {
      if (customerId === null && value.customerId === null) throw invalid("Device isn't assigned to any customer!");
      return { ...value, customerId };
    };
    const changed = await change(this.#devices, { id: deviceId, kind: "Device", to }, call);
    if (changed === undefined) throw missingDevice(deviceId);
    await this.#notify({ kind: "updated", tenantId, deviceId }, call);
    const [customer] = await this.#customers.get([customerId ?? changed.before.value.customerId ?? ""], call);
    const word = customerId === null ? "unassigned" : "assigned";
    const metadata = {
      [`${word}CustomerId`]: customer?.value.id ?? "",
      [`${word}CustomerName`]: customer?.value.title ?? "",
    };
    const type = customerId === null ? "ENTITY_UNASSIGNED" : "ENTITY_ASSIGNED";
    await this.#tell(type, { device: changed.after, by, metadata }, call);
    return changed.after;
  }

  async moveToTenant(
    what: { readonly tenantId: string; readonly deviceId: string; readonly to: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<DeviceDocument>> {
    const profile = (await this.#profiles.byDefault(what.to, call)).value;
    const to = ({ value }: Stored<DeviceDocument>) => {
      return { ...value, tenantId: what.to, customerId: null, deviceProfileId: profile.id, type: profile.name };
    };
    const moved = await this.#named({ ...what, device: {} }, await this.#contentOf(what.deviceId, call), async () => {
      const changed = await change(this.#devices, { id: what.deviceId, kind: "Device", to }, call);
      if (changed === undefined) throw missingDevice(what.deviceId);
      return changed.after;
    });
    const credentials = await this.credentials(what.deviceId, call);
    if (credentials !== undefined) {
      const move = ({ value }: Stored<DeviceCredentialsDocument>) => ({ ...value, tenantId: what.to });
      await change(this.#credentials, { id: credentials.value.id, kind: "Entity", to: move }, call);
    }
    await this.#notify({ kind: "deleted", tenantId: what.tenantId, deviceId: what.deviceId }, call);
    await this.#tell("ENTITY_ASSIGNED_FROM_TENANT", { device: moved, by: what.by }, call);
    return moved;
  }

  async #contentOf(deviceId: string, call: CallOptions): Promise<DeviceDocument> {
    const device = await this.devices.get(deviceId, call);
    if (device === undefined) throw missingDevice(deviceId);
    return device.value;
  }

  async credentials(deviceId: string, call: CallOptions): Promise<Stored<DeviceCredentialsDocument> | undefined> {
    return (await this.#credentials.find({ where: { deviceId }, limit: 1 }, call)).items[0];
  }

  async saveCredentials(
    what: { readonly tenantId: string; readonly credentials: CredentialsDraft; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<DeviceCredentialsDocument>> {
    const { tenantId, credentials: draft, by } = what;
    const device = await this.devices.get(draft.deviceId ?? "", call);
    if (device?.value.tenantId !== tenantId) throw invalid("Can't assign device credentials to non-existent device!");
    if (draft.id === undefined) throw invalid("Credentials for this device are already specified!");
    const content = checkCredentials(draft);
    const id = draft.id;
    const changed = await this.#putCredentials(() => {
      const to = ({ value }: Stored<DeviceCredentialsDocument>) => {
        // Knowing the id of another device's credentials must not be enough to change them.
        if (value.deviceId !== device.value.id) throw invalid("Unable to update non-existent device credentials!");
        return { ...value, ...content };
      };
      return change(this.#credentials, { id, kind: "Entity", version: draft.version, to }, call);
    });
    if (changed === undefined) throw invalid("Unable to update non-existent device credentials!");
    await this.#notify({ kind: "credentials", tenantId, deviceId: device.value.id }, call);
    await this.#tell("CREDENTIALS_UPDATED", { device, by }, call);
    return changed.after;
  }

  async #putCredentials<R>(put: () => Promise<R>): Promise<R> {
    try {
      return await put();
    } catch (error) {
      if (takenFields(error) === undefined) throw error;
      throw invalid("Device credentials are already assigned to another device!");
    }
  }

  defaultProfile(tenantId: string, call: CallOptions): Promise<Stored<DeviceProfileDocument>> {
    return this.#profiles.byDefault(tenantId, call);
  }

  async saveProfile(
    what: { readonly tenantId: string; readonly profile: Draft<DeviceProfileDocument>; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<DeviceProfileDocument>> {
    const stored = await this.#profiles.save(what, call);
    if (what.profile.id !== undefined) await this.#followProfile(stored.value, call);
    return stored;
  }

  /** Its devices carry the profile's name, and their sessions its settings. */
  async #followProfile({ id, name, tenantId }: DeviceProfileDocument, call: CallOptions): Promise<void> {
    const limit = 500;
    for (let page = 0; ; page++) {
      const query = { where: { deviceProfileId: id }, sort: { by: "id", order: "asc" as const }, limit, page };
      const { items, total } = await this.#devices.find(query, call);
      for (const { value } of items) {
        const to = (now: Stored<DeviceDocument>) => ({ ...now.value, type: name });
        if (value.type !== name) await change(this.#devices, { id: value.id, kind: "Device", to }, call);
        await this.#notify({ kind: "updated", tenantId, deviceId: value.id }, call);
      }
      if ((page + 1) * limit >= total) return;
    }
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

  #notify(event: DeviceEvent, call: CallOptions): Promise<void> {
    const key = entityKey(event.tenantId, { entityType: "DEVICE", id: event.deviceId });
    return this.#deps.lanes.publish(deviceLane, key, event, call);
  }

  async #tell(
    type: string,
    what: {
      readonly device: Stored<DeviceDocument>;
      readonly by: Doer | undefined;
      readonly profile?: Stored<DeviceProfileDocument>;
      readonly metadata?: Readonly<Record<string, string>>;
    },
    call: CallOptions,
  ): Promise<void> {
    const { device, by, metadata } = what;
    const { id, tenantId, name, customerId } = device.value;
    const profile = what.profile ?? (await this.profiles.get(device.value.deviceProfileId, call));
    if (profile === undefined) throw missingProfile(device.value.deviceProfileId);
    const event = {
      tenantId,
      type,
      customerId,
      originator: { entityType: "DEVICE", id },
      entityName: name,
      ruleChainId: profile.value.defaultRuleChainId,
      by,
      data: writeTypedJson(deviceView(device) as unknown as Plain),
      ...(metadata === undefined ? {} : { metadata }),
    };
    await publishEntityEvent(this.#deps, event, call);
  }
}

export function missingDevice(id: string): Fault {
  return new Fault("missing", "record.missing", `Device with id [${id}] is not found`);
}
