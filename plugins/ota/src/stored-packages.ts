import {
  abortable,
  batchesOf,
  type CallOptions,
  type ChecksumAlgorithm,
  type Collection,
  change,
  type DeviceDocument,
  type DeviceProfileDocument,
  type Doer,
  deviceCollection,
  deviceProfileCollection,
  type EntityStore,
  Fault,
  invalid,
  type Lanes,
  type Log,
  type OtaPackageDocument,
  type OtaPackages,
  type OtaPackageType,
  otaPackageCollection,
  otaPackageView,
  type Plain,
  publishEntityEvent,
  putOne,
  type Records,
  recordsOf,
  type Stored,
  takenFields,
  tenantLimit,
  type World,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { LooseBytes } from "./loose-bytes.ts";
import { PackageBytes, pieceBytes } from "./package-bytes.ts";
import { checkUpdate, checkUpload, packageContent } from "./package-rules.ts";
import { PieceCache } from "./piece-cache.ts";
import { limited, type Room, Upload } from "./upload.ts";

export interface PackagesDeps {
  readonly world: World;
  readonly log: Log;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
}

export interface PackagesConfig {
  readonly maxPackage: number;
  readonly cache: number;
  readonly uploadTime: number;
}

/** Where the bytes of a package are. */
interface Source {
  readonly dataId: string;
  readonly size: number;
}

/** Packages whose bytes are known to be there. */
const mostSources = 1_000;

/** Packages in the entity store, their bytes beside them. */
export class StoredPackages implements OtaPackages {
  readonly packages: Records<OtaPackageDocument>;
  readonly #deps: PackagesDeps;
  readonly #config: PackagesConfig;
  readonly #collection: Collection<OtaPackageDocument>;
  readonly #devices: Collection<DeviceDocument>;
  readonly #profiles: Collection<DeviceProfileDocument>;
  readonly #bytes: PackageBytes;
  readonly #loose: LooseBytes;
  readonly #cache: PieceCache;
  readonly #sources = new Map<string, Source>();
  /** Reads and clean-ups that many wait for, or nobody. */
  readonly #closed = new AbortController();

  constructor(deps: PackagesDeps, config: PackagesConfig) {
    const { entities } = deps;
    this.#deps = deps;
    this.#config = config;
    this.#collection = entities.collection(otaPackageCollection);
    this.#devices = entities.collection(deviceCollection);
    this.#profiles = entities.collection(deviceProfileCollection);
    this.#bytes = new PackageBytes(entities);
    this.#loose = new LooseBytes(deps, this.#bytes);
    this.#cache = new PieceCache(config.cache, (dataId, index) => this.#bytes.piece(dataId, index, this.#own));
    this.packages = recordsOf(this.#collection);
  }

  get #own(): CallOptions {
    return { signal: this.#closed.signal };
  }

  async start(): Promise<void> {
    this.#loose.start();
  }

  async save(
    what: { readonly tenantId: string; readonly info: Partial<OtaPackageDocument>; readonly by?: Doer },
    call: CallOptions,
  ): Promise<Stored<OtaPackageDocument>> {
    const { tenantId, info, by } = what;
    const content = packageContent(info);
    await this.#checkProfile(tenantId, content.deviceProfileId, call);
    let stored: Stored<OtaPackageDocument>;
    try {
      stored = await (info.id === undefined
        ? this.#create(tenantId, content, call)
        : this.#update(info, content, call));
    } catch (error) {
      if (takenFields(error) === undefined) throw error;
      throw invalid("OtaPackage with such title and version already exists!");
    }
    await this.#tell(info.id === undefined ? "ENTITY_CREATED" : "ENTITY_UPDATED", stored, by, call);
    return stored;
  }

  #create(
    tenantId: string,
    content: ReturnType<typeof packageContent>,
    call: CallOptions,
  ): Promise<Stored<OtaPackageDocument>> {
    const { world } = this.#deps;
    const none = { fileName: null, contentType: null, checksumAlgorithm: null, checksum: null, dataSize: null };
    const value = {
      ...content,
      ...none,
      id: world.uuid(),
      tenantId,
      createdTime: world.now(),
      hasData: content.url !== null,
      dataId: null,
    };
    return putOne(this.#collection, { value, expect: "absent" }, call);
  }

  async #update(
    info: Partial<OtaPackageDocument>,
    content: ReturnType<typeof packageContent>,
    call: CallOptions,
  ): Promise<Stored<OtaPackageDocument>> {
    const { id = "" } = info;
    const to = ({ value }: Stored<OtaPackageDocument>) => {
      checkUpdate(value, content, info);
      return { ...value, ...content, hasData: value.hasData || content.url !== null };
    };
    const changed = await change(this.#collection, { id, kind: "Ota package", to }, call);
    if (changed === undefined) throw missingPackage(id);
    return changed.after;
  }

  async #checkProfile(tenantId: string, id: string | null, call: CallOptions): Promise<void> {
    if (id === null) return;
    const [profile] = await this.#profiles.get([id], call);
    if (profile?.value.tenantId !== tenantId) {
      throw invalid("OtaPackage is referencing to non-existent device profile!");
    }
  }

  async saveData(
    what: {
      readonly tenantId: string;
      readonly packageId: string;
      readonly fileName: string;
      readonly contentType: string;
      readonly checksumAlgorithm: ChecksumAlgorithm;
      readonly checksum?: string;
      readonly data: AsyncIterable<Uint8Array>;
      readonly by?: Doer;
    },
    call: CallOptions,
  ): Promise<Stored<OtaPackageDocument>> {
    const { tenantId, packageId, checksumAlgorithm, data, by } = what;
    const found = await this.packages.get(packageId, call);
    if (found?.value.tenantId !== tenantId) throw missingPackage(packageId);
    checkUpload(found.value, what);
    const upload = new Upload(data, checksumAlgorithm, await this.#room(tenantId, call));
    const { world } = this.#deps;
    const { maxPackage: size, uploadTime: forMs } = this.#config;
    const dataId = world.uuid();
    await this.#loose.note({ dataId, packageId, size, forMs }, call);
    const time = limited(world, forMs, call.signal);
    let stored: Stored<OtaPackageDocument>;
    try {
      stored = await this.#receive({ ...what, dataId, upload }, time);
    } catch (error) {
      // They stay noted as loose: a write that was given up may still arrive.
      await this.#bytes.drop(dataId, upload.seen, this.#own);
      throw error;
    } finally {
      time[Symbol.dispose]();
    }
    await this.#loose.keep(dataId, this.#own);
    await this.#tell("ENTITY_UPDATED", stored, by, call);
    return stored;
  }

  async #receive(
    what: {
      readonly tenantId: string;
      readonly packageId: string;
      readonly fileName: string;
      readonly contentType: string;
      readonly checksum?: string;
      readonly dataId: string;
      readonly upload: Upload;
    },
    call: CallOptions,
  ): Promise<Stored<OtaPackageDocument>> {
    const { tenantId, packageId, fileName, contentType, checksum, dataId, upload } = what;
    await abortable(this.#bytes.write(dataId, upload, call), call.signal);
    const sum = upload.end(checksum);
    // Others may have sent theirs meanwhile.
    const room = await this.#room(tenantId, call);
    if (sum.dataSize > room.bytes) throw room.fault();
    return this.#attach(packageId, { ...sum, fileName, contentType, dataId, hasData: true }, call);
  }

  /** Of two uploads for one package the first that is complete counts. */
  async #attach(
    id: string,
    content: Partial<OtaPackageDocument> & { readonly fileName: string; readonly contentType: string },
    call: CallOptions,
  ): Promise<Stored<OtaPackageDocument>> {
    const to = ({ value }: Stored<OtaPackageDocument>) => {
      checkUpload(value, content);
      return { ...value, ...content };
    };
    const changed = await change(this.#collection, { id, kind: "Ota package", to }, call);
    if (changed === undefined) throw missingPackage(id);
    return changed.after;
  }

  /** What one package may have, and what the tenant may still have. */
  async #room(tenantId: string, call: CallOptions): Promise<Room> {
    const { maxPackage } = this.#config;
    const limit = await tenantLimit(this.#deps.entities, { tenantId, limit: "maxOtaPackagesInBytes" }, call);
    const left = limit === Number.POSITIVE_INFINITY ? limit : limit - (await this.#sizeOf(tenantId, call));
    if (left < maxPackage) {
      return {
        bytes: left,
        fault: () => invalid(`Ota packages total size exceeds the maximum of ${limit} bytes`),
      };
    }
    const message = `OtaPackage is larger than ${maxPackage} bytes, the limit`;
    return {
      bytes: maxPackage,
      fault: () => new Fault("invalid", "ota.too-large", message, { data: { status: 413 } }),
    };
  }

  async #sizeOf(tenantId: string, call: CallOptions): Promise<number> {
    const limit = 500;
    let size = 0;
    for (let page = 0; ; page++) {
      const query = { where: { tenantId }, sort: { by: "id", order: "asc" as const }, limit, page };
      const { items, total } = await this.#collection.find(query, call);
      for (const { value } of items) size += value.dataSize ?? 0;
      if ((page + 1) * limit >= total) return size;
    }
  }

  async remove(
    what: { readonly tenantId: string; readonly packageId: string; readonly by?: Doer },
    call: CallOptions,
  ): Promise<void> {
    const found = await this.packages.get(what.packageId, call);
    if (found?.value.tenantId !== what.tenantId) throw missingPackage(what.packageId);
    await this.#checkUnused(found.value, call);
    await this.#drop(found.value, call);
    await this.#tell("ENTITY_DELETED", found, what.by, call);
  }

  async #checkUnused({ id, tenantId, type, deviceProfileId }: OtaPackageDocument, call: CallOptions): Promise<void> {
    const field = type === "FIRMWARE" ? "firmwareId" : "softwareId";
    const noun = type === "FIRMWARE" ? "otaPackage" : "software";
    const profiles = await this.#profiles.find({ where: { tenantId, [field]: id }, limit: 1 }, call);
    if (profiles.total > 0) throw invalid(`The ${noun} referenced by the device profile cannot be deleted!`);
    // Only devices of its profile can have it; the store finds those by the profile.
    const where = { ...(deviceProfileId === null ? { tenantId } : { deviceProfileId }), [field]: id };
    const devices = await this.#devices.find({ where, limit: 1 }, call);
    if (devices.total > 0) throw invalid(`The ${noun} referenced by the devices cannot be deleted!`);
  }

  /** The bytes are written down as loose first: they go also when this node dies before it has dropped them. */
  async #drop({ id: packageId, dataId, dataSize }: OtaPackageDocument, call: CallOptions): Promise<void> {
    this.#sources.delete(packageId);
    const size = dataSize ?? 0;
    if (typeof dataId === "string") await this.#loose.note({ dataId, packageId, size, forMs: 0 }, call);
    await this.#collection.remove([packageId], call);
    if (typeof dataId === "string") await this.#loose.drop(dataId, size, call);
  }

  /** All packages of a deleted tenant. */
  async forgetTenant(tenantId: string, call: CallOptions): Promise<void> {
    for await (const batch of batchesOf(this.#collection, { tenantId }, call)) {
      for (const { value } of batch) await this.#drop(value, call);
    }
  }

  async assigned(deviceId: string, type: OtaPackageType, call: CallOptions): Promise<OtaPackageDocument | undefined> {
    const field = type === "FIRMWARE" ? "firmwareId" : "softwareId";
    const [device] = await this.#devices.get([deviceId], call);
    if (device === undefined) return undefined;
    let id = device.value[field];
    if (!id) id = (await this.#profiles.get([device.value.deviceProfileId], call))[0]?.value[field] ?? null;
    return id ? (await this.packages.get(id, call))?.value : undefined;
  }

  async read(
    packageId: string,
    { from, to }: { readonly from: number; readonly to: number },
    call: CallOptions,
  ): Promise<Buffer> {
    const { dataId, size } = await this.#sourceOf(packageId, call);
    const end = Math.min(to, size);
    if (from >= end) return Buffer.alloc(0);
    const slice = Buffer.allocUnsafe(end - from);
    for (let at = from; at < end; ) {
      const index = Math.floor(at / pieceBytes);
      const piece = await this.#cache.get(dataId, index, call);
      // A copy: a slow connection must not hold a whole piece for the few bytes that it waits to send.
      const begin = at - index * pieceBytes;
      at += piece.copy(slice, at - from, begin, Math.min(piece.length, begin + end - at));
    }
    return slice;
  }

  async #sourceOf(packageId: string, call: CallOptions): Promise<Source> {
    const known = this.#sources.get(packageId);
    if (known !== undefined) return known;
    const { dataId, dataSize } = (await this.packages.get(packageId, call))?.value ?? {};
    if (typeof dataId !== "string") {
      throw new Fault("missing", "ota.no-data", `Ota package with id [${packageId}] has no data here`);
    }
    const source = { dataId, size: dataSize ?? 0 };
    const [oldest] = this.#sources.keys();
    if (oldest !== undefined && this.#sources.size >= mostSources) this.#sources.delete(oldest);
    this.#sources.set(packageId, source);
    return source;
  }

  #tell(type: string, stored: Stored<OtaPackageDocument>, by: Doer | undefined, call: CallOptions): Promise<void> {
    const { id, tenantId, title } = stored.value;
    const originator = { entityType: "OTA_PACKAGE", id };
    const data = writeTypedJson(otaPackageView(stored) as unknown as Plain);
    return publishEntityEvent(this.#deps, { tenantId, type, originator, entityName: title, by, data }, call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loose.stop();
    this.#closed.abort(new Error("the node stops"));
  }
}

function missingPackage(id: string): Fault {
  return new Fault("missing", "record.missing", `Ota package with id [${id}] is not found`);
}
