import { membersOf, type Node, readDocument, scalarText } from "@heddle/payload-codec";
import {
  batchesOf,
  type CallOptions,
  type ClaimOutcome,
  type Claims,
  type Collection,
  type CollectionSpec,
  type DeviceDocument,
  type DeviceIdentity,
  type Doer,
  type EntityData,
  Fault,
  isFault,
  type Removal,
  readTypedJson,
  type Stored,
} from "@heddle/plugin-sdk";
import type { OnboardingDeps } from "./deps.ts";

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

interface Config {
  readonly claimByDefault: boolean;
  readonly claimFor: number;
}

/** Longest secret key. */
const longestKey = 255;
const server = "SERVER_SCOPE" as const;
const failure: ClaimOutcome = { response: "FAILURE" };

/** Devices that users may take over (device-api 6.3). */
export class Claiming implements Claims, EntityData {
  readonly #deps: OnboardingDeps;
  readonly #config: Config;
  readonly #claims: Collection<ClaimDocument>;

  constructor(deps: OnboardingDeps, config: Config) {
    this.#deps = deps;
    this.#config = config;
    this.#claims = deps.entities.collection(claimCollection);
  }

  async open(device: DeviceIdentity, payload: Uint8Array, call: CallOptions): Promise<void> {
    const { secretKey, durationMs } = this.#offerOf(payload);
    const { deviceId: id, tenantId } = device;
    const current = await this.#deps.registry.devices.get(id, call);
    if (current === undefined || current.value.customerId !== null || !(await this.#isAllowed(id, call))) return;
    const now = this.#deps.world.now();
    const [before] = await this.#claims.get([id], call);
    // An offer that holds is not replaced by a second one.
    if (before !== undefined && before.value.expiresAt > now) return;
    const value = { id, tenantId, secretKey, expiresAt: now + durationMs };
    try {
      await this.#claims.put([{ value, expect: before?.version ?? "absent" }], call);
    } catch (error) {
      // The same device through another connection was faster; its offer holds.
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
    if (device === undefined) {
      throw new Fault("missing", "record.missing", "Requested item wasn't found!");
    }
    if (device.value.customerId !== null) return { response: "CLAIMED" };
    if (!(await this.#redeem(device, secretKey, call))) return failure;
    const deviceId = device.value.id;
    const assigned = await registry.assign(
      { tenantId, deviceId, customerId, ...(by === undefined ? {} : { by }) },
      call,
    );
    return { response: "SUCCESS", device: assigned };
  }

  async reclaim(
    { tenantId, deviceId, by }: { readonly tenantId: string; readonly deviceId: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<void> {
    const { registry, telemetry } = this.#deps;
    await registry.assign({ tenantId, deviceId, customerId: null, ...(by === undefined ? {} : { by }) }, call);
    if (this.#config.claimByDefault) return;
    const write = { tenantId, entity: entityOf(deviceId), scope: server, notifyDevice: false };
    await telemetry.saveAttributes({ ...write, values: { claimingAllowed: true } }, call);
  }

  /** The offer is taken away by whoever tries it: of two claimers one has it (device-api 6.3). */
  async #redeem({ value: { id, tenantId } }: Stored<DeviceDocument>, key: string, call: CallOptions): Promise<boolean> {
    const now = this.#deps.world.now();
    const [offer] = await this.#claims.get([id], call);
    if (offer !== undefined) {
      const taken = (await this.#claims.remove([id], call)) > 0;
      return taken && offer.value.secretKey === key && offer.value.expiresAt > now;
    }
    const { attributes, telemetry } = this.#deps;
    const [stored] = await attributes.get(entityOf(id), server, ["claimingData"], call);
    if (stored === undefined) return false;
    const change = { tenantId, entity: entityOf(id), scope: server, keys: ["claimingData"], notifyDevice: false };
    const removed = await telemetry.removeAttributes(change, call);
    return removed.length > 0 && fitsAttribute(stored.value, { key, now });
  }

  async #isAllowed(deviceId: string, call: CallOptions): Promise<boolean> {
    if (this.#config.claimByDefault) return true;
    const [allowed] = await this.#deps.attributes.get(entityOf(deviceId), server, ["claimingAllowed"], call);
    return allowed?.value === true;
  }

  #offerOf(payload: Uint8Array): { readonly secretKey: string; readonly durationMs: number } {
    const document = readDocument(payload);
    const members: ReadonlyMap<string, Node> = document.type === "null" ? new Map() : membersOf(document, "a claim");
    const secretKey = scalarText(members.get("secretKey")) ?? "";
    if (secretKey.length > longestKey) {
      throw new Fault("invalid", "device.payload", `a claim's key has more than ${longestKey} characters`);
    }
    const asked = Number(scalarText(members.get("durationMs")) ?? 0);
    return { secretKey, durationMs: asked > 0 && Number.isFinite(asked) ? asked : this.#config.claimFor };
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

const entityOf = (id: string) => ({ entityType: "DEVICE", id });

/** `{"secretKey", "expirationTime"}` as a server attribute, which an operator may have set. */
function fitsAttribute(value: unknown, { key, now }: { readonly key: string; readonly now: number }): boolean {
  const text = typeof value === "string" ? value : ((value as { text?: string }).text ?? "");
  let data: { secretKey?: unknown; expirationTime?: unknown };
  try {
    data = readTypedJson(text) as typeof data;
  } catch {
    // No JSON: then it is no offer.
    return false;
  }
  return (data?.secretKey ?? "") === key && Number(data?.expirationTime ?? 0) > now;
}
