import {
  type CallOptions,
  type Collection,
  change,
  type DeviceDocument,
  type DeviceProfileDocument,
  deviceCollection,
  deviceProfileCollection,
  type EntityStore,
  entityKey,
  type LaneSpec,
  type Lanes,
  type Plain,
  type Stored,
} from "@heddle/plugin-sdk";
import type { DeviceNews } from "./device-news.ts";

/** Profiles whose devices are still to follow a change: bodies are `ProfileChange`. */
export const profileLane: LaneSpec = {
  name: "profile-changes",
  retainMs: 7 * 24 * 3_600_000,
  retry: { attempts: 20, backoffMs: 1_000 },
  exhausted: "deadLetter",
};

type ProfileChange = {
  readonly tenantId: string;
  readonly profileId: string;
};

/** Devices that follow at once. */
const atOnce = 500;

/**
 * Carries a change of a profile to its devices: they have its name, and whoever keeps something of them by the profile is
 * told that they were updated. A walk that a crash cuts short begins again.
 */
export class ProfileFollowers {
  readonly #lanes: Lanes;
  readonly #news: DeviceNews;
  readonly #devices: Collection<DeviceDocument>;
  readonly #profiles: Collection<DeviceProfileDocument>;
  readonly #batch: number;
  #consumer: AsyncDisposable | undefined;

  constructor(
    { lanes, entities }: { readonly lanes: Lanes; readonly entities: EntityStore },
    news: DeviceNews,
    batch = atOnce,
  ) {
    this.#lanes = lanes;
    this.#news = news;
    this.#batch = batch;
    this.#devices = entities.collection(deviceCollection);
    this.#profiles = entities.collection(deviceProfileCollection);
  }

  start(): void {
    this.#consumer = this.#lanes.consume(profileLane, "devices", (_key, body, turn) =>
      this.#follow(body as unknown as ProfileChange, turn),
    );
  }

  changed({ tenantId, id }: DeviceProfileDocument, call: CallOptions): Promise<void> {
    const body: ProfileChange = { tenantId, profileId: id };
    const key = entityKey(tenantId, { entityType: "DEVICE_PROFILE", id });
    return this.#lanes.publish(profileLane, key, body as Plain, call);
  }

  async #follow({ tenantId, profileId }: ProfileChange, call: CallOptions): Promise<void> {
    const [profile] = await this.#profiles.get([profileId], call);
    if (profile === undefined) return;
    const { name } = profile.value;
    for (let page = 0; ; page++) {
      const where = { deviceProfileId: profileId };
      const query = { where, sort: { by: "id", order: "asc" as const }, limit: this.#batch, page };
      const { items, total } = await this.#devices.find(query, call);
      await Promise.all(
        items.map(async ({ value: { id, type } }) => {
          if (type !== name) await this.#rename(id, profile.value, call);
          await this.#news.notify({ kind: "updated", tenantId, deviceId: id }, call);
        }),
      );
      if ((page + 1) * this.#batch >= total) return;
    }
  }

  /** Unless it has gone to another profile meanwhile. */
  async #rename(id: string, profile: DeviceProfileDocument, call: CallOptions): Promise<void> {
    const to = ({ value }: Stored<DeviceDocument>) =>
      value.deviceProfileId === profile.id ? { ...value, type: profile.name } : value;
    await change(this.#devices, { id, kind: "Device", to }, call);
  }

  async stop(): Promise<void> {
    await this.#consumer?.[Symbol.asyncDispose]();
  }
}
