import {
  type CallOptions,
  type Collection,
  type CredentialsDraft,
  change,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  deviceCollection,
  deviceCredentialsCollection,
  type EntityStore,
  invalid,
  putOne,
  type Stored,
  takenFields,
  type World,
} from "@heddle/plugin-sdk";
import { checkCredentials } from "./credentials-rules.ts";

/** Credentials without a device: for so long somebody may still be making it; then whoever wants their id gets it. */
const orphanedAfterMs = 60_000;

/** Credentials of devices; each id is claimed once in the installation (device-api 1.1). */
export class StoredCredentials {
  readonly #world: World;
  readonly #credentials: Collection<DeviceCredentialsDocument>;
  readonly #devices: Collection<DeviceDocument>;

  constructor({ world, entities }: { readonly world: World; readonly entities: EntityStore }) {
    this.#world = world;
    this.#credentials = entities.collection(deviceCredentialsCollection);
    this.#devices = entities.collection(deviceCollection);
  }

  async of(deviceId: string, call: CallOptions): Promise<Stored<DeviceCredentialsDocument> | undefined> {
    return (await this.#credentials.find({ where: { deviceId }, limit: 1 }, call)).items[0];
  }

  /** For a device that is about to be made; resolves with what undoes it. */
  async claim(
    what: { readonly tenantId: string; readonly deviceId: string; readonly draft: CredentialsDraft },
    call: CallOptions,
  ): Promise<() => Promise<void>> {
    const { tenantId, deviceId, draft } = what;
    const createdTime = this.#world.now();
    const value = { ...checkCredentials(draft), id: this.#world.uuid(), tenantId, createdTime, deviceId };
    const put = () => putOne(this.#credentials, { value, expect: "absent" }, call);
    await unlessTaken(async () => {
      try {
        return await put();
      } catch (error) {
        if (takenFields(error) === undefined || !(await this.#dropOrphan(value.credentialsId, call))) throw error;
        return put();
      }
    });
    return async () => {
      await this.#credentials.remove([value.id], call);
    };
  }

  /** Undefined when there are none of that id, or they are another device's. */
  async save(
    deviceId: string,
    draft: CredentialsDraft & { readonly id: string },
    call: CallOptions,
  ): Promise<Stored<DeviceCredentialsDocument> | undefined> {
    const content = checkCredentials(draft);
    const to = ({ value }: Stored<DeviceCredentialsDocument>) => {
      // Knowing the id of another device's credentials must not be enough to change them.
      if (value.deviceId !== deviceId) throw invalid("Unable to update non-existent device credentials!");
      return { ...value, ...content };
    };
    const what = { id: draft.id, kind: "Entity", version: draft.version, to };
    return (await unlessTaken(() => change(this.#credentials, what, call)))?.after;
  }

  async move(deviceId: string, tenantId: string, call: CallOptions): Promise<void> {
    const credentials = await this.of(deviceId, call);
    if (credentials === undefined) return;
    const to = ({ value }: Stored<DeviceCredentialsDocument>) => ({ ...value, tenantId });
    await change(this.#credentials, { id: credentials.value.id, kind: "Entity", to }, call);
  }

  /** Left behind by a node that died between the credentials and their device. */
  async #dropOrphan(credentialsId: string, call: CallOptions): Promise<boolean> {
    const { items } = await this.#credentials.find({ where: { credentialsId }, limit: 1 }, call);
    const [holder] = items;
    if (holder === undefined) return true;
    const { id, deviceId, createdTime } = holder.value;
    if (this.#world.now() - createdTime < orphanedAfterMs) return false;
    const [device] = await this.#devices.get([deviceId], call);
    return device === undefined && (await this.#credentials.remove([id], call)) > 0;
  }
}

async function unlessTaken<R>(put: () => Promise<R>): Promise<R> {
  try {
    return await put();
  } catch (error) {
    if (takenFields(error) === undefined) throw error;
    throw invalid("Device credentials are already assigned to another device!");
  }
}
