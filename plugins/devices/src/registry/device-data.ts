import {
  batchesOf,
  type CallOptions,
  type Collection,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  type DeviceEvent,
  type DeviceProfileDocument,
  type DeviceRegistry,
  type Doer,
  deviceCollection,
  deviceCredentialsCollection,
  deviceLane,
  deviceProfileCollection,
  deviceView,
  type EntityData,
  entityKey,
  isFault,
  type Plain,
  publishEntityEvent,
  type Removal,
  type RpcDocument,
  rpcCollection,
  type Stored,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import type { RegistryDeps } from "./device-registry.ts";

/** The request and the background do the same work at the same time: somebody was faster. */
function goneAlready(error: unknown): void {
  if (!isFault(error) || (error.kind !== "missing" && error.kind !== "invalid")) throw error;
}

/** What this plugin keeps of deleted entities, and how it goes (rest-semantics 7.4–7.6). */
export class DeviceData implements EntityData {
  readonly #deps: RegistryDeps;
  readonly #registry: DeviceRegistry;
  readonly #devices: Collection<DeviceDocument>;
  readonly #credentials: Collection<DeviceCredentialsDocument>;
  readonly #profiles: Collection<DeviceProfileDocument>;
  readonly #rpcs: Collection<RpcDocument>;

  constructor(deps: RegistryDeps, registry: DeviceRegistry) {
    this.#deps = deps;
    this.#registry = registry;
    this.#devices = deps.entities.collection(deviceCollection);
    this.#credentials = deps.entities.collection(deviceCredentialsCollection);
    this.#profiles = deps.entities.collection(deviceProfileCollection);
    this.#rpcs = deps.entities.collection(rpcCollection);
  }

  async hide({ tenantId, entity, by }: Removal, call: CallOptions): Promise<void> {
    if (entity.entityType === "DEVICE") await this.#hideDevice(entity.id, by, call);
    if (entity.entityType !== "CUSTOMER") return;
    for await (const batch of batchesOf(this.#devices, { tenantId, customerId: entity.id }, call)) {
      for (const { value } of batch) {
        const what = { tenantId, deviceId: value.id, customerId: null, ...(by === undefined ? {} : { by }) };
        await this.#registry.assign(what, call).catch(goneAlready);
      }
    }
  }

  async forget(what: Removal, call: CallOptions): Promise<void> {
    await this.hide(what, call);
    const { tenantId, entity } = what;
    if (entity.entityType === "DEVICE") await this.#forgetDevice(tenantId, entity.id, call);
    if (entity.entityType !== "TENANT") return;
    for await (const batch of batchesOf(this.#devices, { tenantId: entity.id }, call)) {
      for (const { value } of batch) await this.#forgetDevice(entity.id, value.id, call);
      await this.#devices.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
    for await (const batch of batchesOf(this.#profiles, { tenantId: entity.id }, call)) {
      await this.#profiles.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
  }

  async #hideDevice(id: string, by: Doer | undefined, call: CallOptions): Promise<void> {
    const device = await this.#registry.devices.get(id, call);
    await this.#removeCredentials(id, call);
    if (device === undefined || (await this.#devices.remove([id], call)) === 0) return;
    await this.#tellDeleted(device, by, call);
  }

  async #removeCredentials(deviceId: string, call: CallOptions): Promise<void> {
    const credentials = await this.#registry.credentials(deviceId, call);
    if (credentials !== undefined) await this.#credentials.remove([credentials.value.id], call);
  }

  /** Sessions end before the telemetry goes: they would write more of it. */
  async #forgetDevice(tenantId: string, id: string, call: CallOptions): Promise<void> {
    const { lanes, telemetry } = this.#deps;
    const entity = { entityType: "DEVICE", id };
    await this.#removeCredentials(id, call);
    const event: DeviceEvent = { kind: "deleted", tenantId, deviceId: id };
    await lanes.publish(deviceLane, entityKey(tenantId, entity), event, call);
    await telemetry.forget(tenantId, [entity], call);
    for await (const batch of batchesOf(this.#rpcs, { tenantId, deviceId: id }, call)) {
      await this.#rpcs.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
  }

  async #tellDeleted(device: Stored<DeviceDocument>, by: Doer | undefined, call: CallOptions): Promise<void> {
    const { id, tenantId, customerId, name, deviceProfileId } = device.value;
    const profile = await this.#registry.profiles.get(deviceProfileId, call);
    const event = {
      tenantId,
      customerId,
      type: "ENTITY_DELETED",
      originator: { entityType: "DEVICE", id },
      entityName: name,
      ruleChainId: profile?.value.defaultRuleChainId,
      by,
      data: writeTypedJson(deviceView(device) as unknown as Plain),
    };
    await publishEntityEvent(this.#deps, event, call);
  }
}
