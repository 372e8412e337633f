import {
  batchesOf,
  type CallOptions,
  type Collection,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  type DeviceProfileDocument,
  type DeviceRegistry,
  type Doer,
  deviceCollection,
  deviceCredentialsCollection,
  deviceProfileCollection,
  type EntityData,
  isFault,
  type Removal,
  type RpcDocument,
  rpcCollection,
} from "@heddle/plugin-sdk";
import { DeviceNews } from "./device-news.ts";
import type { RegistryDeps } from "./device-registry.ts";

/** The request and the background do the same work at the same time: somebody was faster. */
function goneAlready(error: unknown): void {
  if (!isFault(error) || (error.kind !== "missing" && error.kind !== "invalid")) throw error;
}

/** What this plugin keeps of deleted entities, and how it goes (rest-semantics 7.4–7.6). */
export class DeviceData implements EntityData {
  readonly #deps: RegistryDeps;
  readonly #registry: DeviceRegistry;
  readonly #news: DeviceNews;
  readonly #devices: Collection<DeviceDocument>;
  readonly #credentials: Collection<DeviceCredentialsDocument>;
  readonly #profiles: Collection<DeviceProfileDocument>;
  readonly #rpcs: Collection<RpcDocument>;

  constructor(deps: RegistryDeps, registry: DeviceRegistry) {
    this.#deps = deps;
    this.#registry = registry;
    this.#news = new DeviceNews(deps);
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
    const profile = await this.#registry.profiles.get(device.value.deviceProfileId, call);
    await this.#news.tell("ENTITY_DELETED", { device, by, profile: profile?.value }, call);
  }

  async #removeCredentials(deviceId: string, call: CallOptions): Promise<void> {
    const credentials = await this.#registry.credentials(deviceId, call);
    if (credentials !== undefined) await this.#credentials.remove([credentials.value.id], call);
  }

  /** Sessions end before the telemetry goes: they would write more of it. */
  async #forgetDevice(tenantId: string, id: string, call: CallOptions): Promise<void> {
    const entity = { entityType: "DEVICE", id };
    await this.#removeCredentials(id, call);
    await this.#news.notify({ kind: "deleted", tenantId, deviceId: id }, call);
    await this.#deps.telemetry.forget(tenantId, [entity], call);
    for await (const batch of batchesOf(this.#rpcs, { tenantId, deviceId: id }, call)) {
      await this.#rpcs.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
  }
}
