import {
  type AttributeStore,
  batchesOf,
  type CallOptions,
  type Collection,
  type CollectionSpec,
  type DeviceDocument,
  type DeviceEvent,
  type DeviceProfileDocument,
  deviceCollection,
  deviceLane,
  deviceProfileCollection,
  type EntityStore,
  type Lanes,
  type OtaPackageDocument,
  type OtaPackageType,
  otaPackageCollection,
  type Telemetry,
  type Value,
  type World,
} from "@heddle/plugin-sdk";

/** What a device was told last. */
interface AssignmentDocument {
  /** The device's id. */
  readonly id: string;
  readonly tenantId: string;
  readonly firmwareId: string | null;
  readonly softwareId: string | null;
}
const assignmentCollection: CollectionSpec<AssignmentDocument> = {
  name: "ota-assignment",
  id: "id",
  indexes: [["tenantId"]],
};

const kinds = [
  { type: "FIRMWARE", field: "firmwareId", prefix: "fw" },
  { type: "SOFTWARE", field: "softwareId", prefix: "sw" },
] as const satisfies readonly { type: OtaPackageType; field: keyof AssignmentDocument; prefix: string }[];
type Kind = (typeof kinds)[number];

interface Deps {
  readonly world: World;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
  readonly attributes: AttributeStore;
  readonly telemetry: Telemetry;
}

/**
 * Tells devices what they should run (device-api 2.8). Whenever a device or its profile has changed, what it should run is
 * compared with what it was told; a record that comes again finds nothing to do, or begins anew what was cut short.
 */
export class Assignments {
  readonly #deps: Deps;
  readonly #told: Collection<AssignmentDocument>;
  readonly #devices: Collection<DeviceDocument>;
  readonly #profiles: Collection<DeviceProfileDocument>;
  readonly #packages: Collection<OtaPackageDocument>;
  #consumer: AsyncDisposable | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#told = deps.entities.collection(assignmentCollection);
    this.#devices = deps.entities.collection(deviceCollection);
    this.#profiles = deps.entities.collection(deviceProfileCollection);
    this.#packages = deps.entities.collection(otaPackageCollection);
  }

  start(): void {
    this.#consumer = this.#deps.lanes.consume(deviceLane, "ota", (_key, body, turn) => {
      const event = body as unknown as DeviceEvent;
      return event.kind === "updated" ? this.follow(event.deviceId, turn) : undefined;
    });
  }

  async follow(deviceId: string, call: CallOptions): Promise<void> {
    const [device] = await this.#devices.get([deviceId], call);
    if (device === undefined) return;
    const { tenantId, deviceProfileId } = device.value;
    const [[profile], [before]] = await Promise.all([
      this.#profiles.get([deviceProfileId], call),
      this.#told.get([deviceId], call),
    ]);
    const now = { id: deviceId, tenantId, ...idsOf(before?.value) };
    let changed = false;
    for (const kind of kinds) {
      const wanted = await this.#packageOf(device.value[kind.field] || profile?.value[kind.field] || null, call);
      if ((wanted?.id ?? null) === now[kind.field]) continue;
      if (wanted === undefined) await this.#withdraw(now, kind, call);
      else await this.#assign(now, { kind, wanted }, call);
      now[kind.field] = wanted?.id ?? null;
      changed = true;
    }
    if (changed) await this.#told.put([{ value: now, expect: "any" }], call);
  }

  async #packageOf(id: string | null, call: CallOptions): Promise<OtaPackageDocument | undefined> {
    return id === null ? undefined : (await this.#packages.get([id], call))[0]?.value;
  }

  /** A device begins when it gets the attributes, so everything else is written before. */
  async #assign(
    { id, tenantId }: AssignmentDocument,
    { kind, wanted }: { readonly kind: Kind; readonly wanted: OtaPackageDocument },
    call: CallOptions,
  ): Promise<void> {
    const { telemetry, world } = this.#deps;
    const { prefix } = kind;
    const entity = { entityType: "DEVICE", id };
    const ts = world.now();
    const { title, version, tag } = wanted;
    const target: Record<string, Value> = {
      [`target_${prefix}_title`]: title,
      [`target_${prefix}_version`]: version,
      ...(tag === null ? {} : { [`target_${prefix}_tag`]: tag }),
      [`target_${prefix}_ts`]: ts,
      [`${prefix}_state`]: "QUEUED",
    };
    await telemetry.save(tenantId, [{ entity, ts, values: target }], call);
    const initiated = { entity, ts: Math.max(world.now(), ts + 1), values: { [`${prefix}_state`]: "INITIATED" } };
    await telemetry.save(tenantId, [initiated], call);
    const change = { tenantId, entity, scope: "SHARED_SCOPE" as const, notifyDevice: true };
    const keys = await this.#outdated(id, { kind, wanted }, call);
    await telemetry.removeAttributes({ ...change, keys }, call);
    await telemetry.saveAttributes({ ...change, values: attributesOf(wanted, prefix) }, call);
  }

  /** Keys of the other way to get a package, always; the tag of the one before, if this one has none. */
  async #outdated(
    id: string,
    { kind: { prefix }, wanted }: { readonly kind: Kind; readonly wanted: OtaPackageDocument },
    call: CallOptions,
  ): Promise<string[]> {
    const ofBytes = [`${prefix}_size`, `${prefix}_checksum_algorithm`, `${prefix}_checksum`];
    const other = wanted.url === null ? [`${prefix}_url`] : ofBytes;
    if (wanted.tag !== null) return other;
    const entity = { entityType: "DEVICE", id };
    const tag = await this.#deps.attributes.get(entity, "SHARED_SCOPE", [`${prefix}_tag`], call);
    return [...other, ...tag.map(({ key }) => key)];
  }

  async #withdraw({ id, tenantId }: AssignmentDocument, { prefix }: Kind, call: CallOptions): Promise<void> {
    const names = ["title", "version", "tag", "ts", "state", "size", "checksum_algorithm", "checksum", "url"];
    const keys = names.map((name) => `${prefix}_${name}`);
    const entity = { entityType: "DEVICE", id };
    const change = { tenantId, entity, scope: "SHARED_SCOPE" as const, notifyDevice: true };
    await this.#deps.telemetry.removeAttributes({ ...change, keys }, call);
  }

  async forgetDevice(id: string, call: CallOptions): Promise<void> {
    await this.#told.remove([id], call);
  }

  async forgetTenant(tenantId: string, call: CallOptions): Promise<void> {
    for await (const batch of batchesOf(this.#told, { tenantId }, call)) {
      await this.#told.remove(
        batch.map(({ value }) => value.id),
        call,
      );
    }
  }

  async stop(): Promise<void> {
    await this.#consumer?.[Symbol.asyncDispose]();
  }
}

const idsOf = (told: AssignmentDocument | undefined): Record<Kind["field"], string | null> => ({
  firmwareId: told?.firmwareId ?? null,
  softwareId: told?.softwareId ?? null,
});

function attributesOf(wanted: OtaPackageDocument, prefix: string): Record<string, Value> {
  const { title, version, tag, url, dataSize, checksumAlgorithm, checksum } = wanted;
  const what: Record<string, Value> =
    url !== null
      ? { url }
      : { size: dataSize ?? 0, checksum_algorithm: checksumAlgorithm ?? "", checksum: checksum ?? "" };
  const all: Record<string, Value> = { title, version, ...(tag === null ? {} : { tag }), ...what };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [`${prefix}_${name}`, value]));
}
