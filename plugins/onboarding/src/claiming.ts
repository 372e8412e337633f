import {
  batchesOf,
  type CallOptions,
  type ClaimOutcome,
  type Claims,
  type Collection,
  type CollectionSpec,
  type DeviceIdentity,
  type Doer,
  type EntityData,
  Fault,
  isFault,
  type Removal,
} from "@heddle/plugin-sdk";
import { offerOfAttribute, readOffer } from "./claim-offer.ts";
import { deviceEntity, type OnboardingDeps, serverScope } from "./deps.ts";

/** What a device has offered; it goes with the first attempt that fails, and with success. */
interface ClaimDocument {
  /** The device's id: one offer at a time. */
  readonly id: string;
  readonly tenantId: string;
  readonly secretKey: string;
  /** ms since the epoch. */
  readonly expiresAt: number;
}
const claimCollection: CollectionSpec<ClaimDocument> = { name: "claim", id: "id", indexes: [["tenantId"]] };

export interface ClaimingConfig {
  readonly allowByDefault: boolean;
  readonly duration: number;
}

const allowed = "claimingAllowed";
const offered = "claimingData";
const failure: ClaimOutcome = { response: "FAILURE" };
const claimed: ClaimOutcome = { response: "CLAIMED" };

/** Devices that users may take over (device-api 6.3). */
export class Claiming implements Claims, EntityData {
  readonly #deps: OnboardingDeps;
  readonly #config: ClaimingConfig;
  readonly #claims: Collection<ClaimDocument>;

  constructor(deps: OnboardingDeps, config: ClaimingConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#claims = deps.entities.collection(claimCollection);
  }

  /** An offer that holds is not replaced by a second one. */
  async open(device: DeviceIdentity, payload: Uint8Array, call: CallOptions): Promise<void> {
    const { secretKey, durationMs = this.#config.duration } = readOffer(payload);
    const { deviceId: id, tenantId } = device;
    const { registry, world } = this.#deps;
    const current = await registry.devices.get(id, call);
    if (current === undefined || current.value.customerId !== null || !(await this.#isAllowed(id, call))) return;
    const now = world.now();
    const [before] = await this.#claims.get([id], call);
    if (before !== undefined && before.value.expiresAt > now) return;
    const value = { id, tenantId, secretKey, expiresAt: now + durationMs };
    try {
      await this.#claims.put([{ value, expect: before?.version ?? "absent" }], call);
    } catch (error) {
      // The same device was faster through another connection: that offer holds.
      if (!isFault(error) || error.kind !== "conflict") throw error;
    }
  }

  async claim(
    what: {
      readonly tenantId: string;
      readonly customerId: string;
      readonly deviceName: string;
      readonly secretKey: string;
      readonly by?: Doer;
    },
    call: CallOptions,
  ): Promise<ClaimOutcome> {
    const { registry } = this.#deps;
    const { tenantId, customerId, deviceName, secretKey, by } = what;
    const [device] = (await registry.devices.find({ where: { tenantId, name: deviceName }, limit: 1 }, call)).items;
    if (device === undefined) throw new Fault("missing", "record.missing", "Requested item wasn't found!");
    if (device.value.customerId !== null) return claimed;
    const deviceId = device.value.id;
    if (!(await this.#redeem({ tenantId, deviceId, secretKey }, call))) return failure;
    try {
      const to = { tenantId, deviceId, customerId, onlyFree: true, ...(by === undefined ? {} : { by }) };
      const assigned = await registry.assign(to, call);
      await this.#dropAttributes(tenantId, deviceId, call);
      return { response: "SUCCESS", device: assigned };
    } catch (error) {
      // An administrator gave it to somebody at the same moment.
      if (isFault(error) && error.code === "registry.assigned") return claimed;
      throw error;
    }
  }

  async reclaim(
    { tenantId, deviceId, by }: { readonly tenantId: string; readonly deviceId: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<void> {
    const { registry, telemetry } = this.#deps;
    await this.#claims.remove([deviceId], call);
    const device = await registry.devices.get(deviceId, call);
    if (device === undefined || device.value.customerId === null) return;
    await registry.assign({ tenantId, deviceId, customerId: null, ...(by === undefined ? {} : { by }) }, call);
    if (this.#config.allowByDefault) return;
    const write = { tenantId, entity: deviceEntity(deviceId), scope: serverScope, notifyDevice: false };
    await telemetry.saveAttributes({ ...write, values: { [allowed]: true } }, call);
  }

  /** Whoever tries an offer takes it away, so that of two claimers one has it and nobody guesses twice. */
  async #redeem(
    what: { readonly tenantId: string; readonly deviceId: string; readonly secretKey: string },
    call: CallOptions,
  ): Promise<boolean> {
    const { tenantId, deviceId, secretKey } = what;
    const now = this.#deps.world.now();
    const [offer] = await this.#claims.get([deviceId], call);
    if (offer !== undefined) {
      const taken = (await this.#claims.remove([deviceId], call)) > 0;
      return taken && offer.value.secretKey === secretKey && offer.value.expiresAt > now;
    }
    const { attributes, telemetry } = this.#deps;
    const entity = deviceEntity(deviceId);
    const [stored] = await attributes.get(entity, serverScope, [offered], call);
    const data = stored === undefined ? undefined : offerOfAttribute(stored.value);
    if (data === undefined) return false;
    const change = { tenantId, entity, scope: serverScope, keys: [offered], notifyDevice: false };
    const removed = await telemetry.removeAttributes(change, call);
    return removed.length > 0 && data.secretKey === secretKey && data.expiresAt > now;
  }

  async #dropAttributes(tenantId: string, deviceId: string, call: CallOptions): Promise<void> {
    const entity = deviceEntity(deviceId);
    const found = await this.#deps.attributes.get(entity, serverScope, [allowed, offered], call);
    if (found.length === 0) return;
    const keys = found.map(({ key }) => key);
    await this.#deps.telemetry.removeAttributes(
      { tenantId, entity, scope: serverScope, keys, notifyDevice: false },
      call,
    );
  }

  async #isAllowed(deviceId: string, call: CallOptions): Promise<boolean> {
    if (this.#config.allowByDefault) return true;
    const [found] = await this.#deps.attributes.get(deviceEntity(deviceId), serverScope, [allowed], call);
    return found?.value === true;
  }

  async hide({ entity }: Removal, call: CallOptions): Promise<void> {
    if (entity.entityType === "DEVICE") await this.#claims.remove([entity.id], call);
  }

  async forget(what: Removal, call: CallOptions): Promise<void> {
    await this.hide(what, call);
    if (what.entity.entityType !== "TENANT") return;
    for await (const batch of batchesOf(this.#claims, { tenantId: what.entity.id }, call)) {
      await this.#claims.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
  }
}
