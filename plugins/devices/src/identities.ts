import {
  type CallOptions,
  type Collection,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  type DeviceIdentity,
  type DeviceProfileDocument,
  type DeviceProof,
  deviceCollection,
  deviceCredentialsCollection,
  deviceProfileCollection,
  type EntityStore,
  type Stored,
} from "@heddle/plugin-sdk";
import { basicCandidates, basicFits } from "./mqtt-basic.ts";

/** Identities kept in memory; the least recently used go first. */
const mostKept = 50_000;
/** Profiles whose settings are kept to be shared; those that came first go first. */
const mostProfiles = 1_000;

type TransportSettings = DeviceIdentity["transport"];

/** Who devices are, by credentials and by id. What is kept is dropped when the owner of the device says so. */
export class Identities {
  readonly #credentials: Collection<DeviceCredentialsDocument>;
  readonly #devices: Collection<DeviceDocument>;
  readonly #profiles: Collection<DeviceProfileDocument>;
  readonly #byToken = new Map<string, DeviceIdentity>();
  readonly #tokensOf = new Map<string, Set<string>>();
  /** One object for all devices of a profile: what transports make of it, such as compiled schemas, hangs on the object. */
  readonly #settings = new Map<string, { readonly version: number; readonly settings: TransportSettings }>();
  /** Counts what was forgotten: a lookup that began before must not be kept. */
  #forgotten = 0;

  constructor(store: EntityStore) {
    this.#credentials = store.collection(deviceCredentialsCollection);
    this.#devices = store.collection(deviceCollection);
    this.#profiles = store.collection(deviceProfileCollection);
  }

  async authenticate(by: DeviceProof, call: CallOptions): Promise<DeviceIdentity | undefined> {
    switch (by.kind) {
      case "token":
        return this.#byToken.get(by.token) ?? this.#lookup(by.token, ["ACCESS_TOKEN"], call);
      case "x509":
        return this.#byToken.get(by.hash) ?? this.#lookup(by.hash, ["X509_CERTIFICATE"], call);
      case "basic":
        return this.#basic(by, call);
    }
  }

  /** Fresh from the store. */
  async byDevice(deviceId: string, call: CallOptions): Promise<DeviceIdentity | undefined> {
    const [device] = await this.#devices.get([deviceId], call);
    if (device === undefined) return undefined;
    const [profile] = await this.#profiles.get([device.value.deviceProfileId], call);
    return profile === undefined ? undefined : identityOf(device.value, profile.value, this.#shared(profile));
  }

  #shared({ value, version }: Stored<DeviceProfileDocument>): TransportSettings {
    const known = this.#settings.get(value.id);
    if (known?.version === version) return known.settings;
    const settings = (value.profileData["transportConfiguration"] ?? {}) as TransportSettings;
    if (known === undefined && this.#settings.size >= mostProfiles) {
      this.#settings.delete(this.#settings.keys().next().value as string);
    }
    this.#settings.set(value.id, { version, settings });
    return settings;
  }

  forget(deviceId: string): void {
    this.#forgotten++;
    for (const token of this.#tokensOf.get(deviceId) ?? []) this.#byToken.delete(token);
    this.#tokensOf.delete(deviceId);
  }

  forgetAll(): void {
    this.#forgotten++;
    this.#byToken.clear();
    this.#tokensOf.clear();
  }

  async #lookup(id: string, types: readonly string[], call: CallOptions): Promise<DeviceIdentity | undefined> {
    const before = this.#forgotten;
    const credentials = await this.#find(id, call);
    if (credentials === undefined || !types.includes(credentials.credentialsType)) return undefined;
    const identity = await this.byDevice(credentials.deviceId, call);
    if (identity !== undefined && before === this.#forgotten) this.#keep(id, identity);
    return identity;
  }

  async #find(credentialsId: string, call: CallOptions): Promise<DeviceCredentialsDocument | undefined> {
    const { items } = await this.#credentials.find({ where: { credentialsId }, limit: 1 }, call);
    return items[0]?.value;
  }

  /** The steps of device-api 1.3. */
  async #basic(by: Extract<DeviceProof, { kind: "basic" }>, call: CallOptions): Promise<DeviceIdentity | undefined> {
    for (const { id, last } of basicCandidates(by)) {
      const found = await this.#find(id, call);
      if (found?.credentialsType === "MQTT_BASIC") {
        const fit = basicFits(found.credentialsValue, by);
        if (fit === "fits") return this.byDevice(found.deviceId, call);
        if (fit === "password" || last) return undefined;
      } else if (found?.credentialsType === "ACCESS_TOKEN" && last) return this.byDevice(found.deviceId, call);
    }
    return undefined;
  }

  #keep(token: string, identity: DeviceIdentity): void {
    if (this.#byToken.size >= mostKept) {
      const [oldest] = this.#byToken.keys();
      if (oldest !== undefined) this.#byToken.delete(oldest);
    }
    this.#byToken.set(token, identity);
    const tokens = this.#tokensOf.get(identity.deviceId) ?? new Set();
    this.#tokensOf.set(identity.deviceId, tokens.add(token));
  }
}

function identityOf(
  device: DeviceDocument,
  profile: DeviceProfileDocument,
  transport: TransportSettings,
): DeviceIdentity {
  const own = device.deviceData?.["transportConfiguration"] as Readonly<Record<string, unknown>> | undefined;
  return {
    tenantId: device.tenantId,
    customerId: device.customerId ?? undefined,
    deviceId: device.id,
    deviceName: device.name,
    deviceType: device.type,
    deviceLabel: device.label ?? undefined,
    profileId: profile.id,
    transportType: profile.transportType,
    transport,
    ruleChainId: profile.defaultRuleChainId ?? undefined,
    gateway: device.additionalInfo?.["gateway"] === true,
    refreshesChildren: device.additionalInfo?.["overwriteActivityTime"] === true,
    ownTransport: own ?? {},
  };
}
