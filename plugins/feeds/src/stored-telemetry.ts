import {
  type AttributeChange,
  type AttributeStore,
  type CallOptions,
  type DeviceEvent,
  deviceLane,
  type EntityId,
  entityKey,
  type FeedUpdate,
  type Lanes,
  type RemoveQuery,
  type Sample,
  type Telemetry,
  type TimeseriesStore,
  type Value,
  type World,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import type { LiveFeeds } from "./live-feeds.ts";

interface Deps {
  readonly world: World;
  readonly lanes: Lanes;
  readonly series: TimeseriesStore;
  readonly attributes: AttributeStore;
}

/** Appends that became durable together, and what to tell once they have. */
interface Group {
  readonly appended: Promise<void>;
  readonly told: Promise<void>;
  readonly samples: { readonly tenantId: string; readonly sample: Sample }[];
}

/** The store first, then everybody who watches. */
export class StoredTelemetry implements Telemetry {
  readonly #deps: Deps;
  readonly #feeds: LiveFeeds;
  #group: Group | undefined;

  constructor(deps: Deps, feeds: LiveFeeds) {
    this.#deps = deps;
    this.#feeds = feeds;
  }

  save(tenantId: string, samples: readonly Sample[], call: CallOptions & { readonly ttlMs?: number }): Promise<void> {
    const appended = this.#deps.series.append(samples, call);
    const group = this.#group?.appended === appended ? this.#group : this.#open(appended);
    for (const sample of samples) {
      if (this.#feeds.mayBeWatched(tenantId, sample.entity)) group.samples.push({ tenantId, sample });
    }
    return group.told;
  }

  /** One continuation for all callers of one commit. */
  #open(appended: Promise<void>): Group {
    const samples: Group["samples"] = [];
    const told = appended.then(() => {
      if (this.#group?.appended === appended) this.#group = undefined;
      for (const { tenantId, sample } of samples) this.#feeds.tell(tenantId, updateOf(sample));
    });
    this.#group = { appended, told, samples };
    return this.#group;
  }

  async remove(tenantId: string, query: RemoveQuery, call: CallOptions): Promise<void> {
    const { series } = this.#deps;
    const before = await series.latest(query.entity, query.keys, call);
    await series.remove(query, call);
    const after = new Map((await series.latest(query.entity, query.keys, call)).map((point) => [point.key, point]));
    const changes: FeedUpdate["changes"] = before
      .filter(({ key, ts }) => after.get(key)?.ts !== ts)
      .map(({ key }) => after.get(key) ?? { key, ts: 0, value: null });
    if (changes.length > 0) this.#feeds.tell(tenantId, { entity: query.entity, changes });
  }

  async saveAttributes(
    write: AttributeChange & { readonly values: Readonly<Record<string, Value>> },
    call: CallOptions,
  ): Promise<void> {
    const { world, attributes } = this.#deps;
    const { entity, scope, values } = write;
    const ts = world.now();
    const version = await attributes.put({ entity, scope, values, ts }, call);
    const changes = Object.entries(values).map(([key, value]) => ({ key, ts, value }));
    this.#feeds.tell(write.tenantId, { entity, scope, changes });
    await this.#notify(write, { version, values: writeTypedJson(values) }, call);
  }

  async removeAttributes(
    change: AttributeChange & { readonly keys: readonly string[] },
    call: CallOptions,
  ): Promise<string[]> {
    const { entity, scope, keys } = change;
    const { removed, version } = await this.#deps.attributes.remove(entity, scope, keys, call);
    if (removed.length > 0) {
      this.#feeds.tell(change.tenantId, {
        entity,
        scope,
        changes: removed.map((key) => ({ key, ts: 0, value: null })),
      });
    }
    // The device hears of every key that was asked for: it may hold a value that is long gone here.
    await this.#notify(change, { version, removed: keys }, call);
    return removed;
  }

  async #notify(
    change: AttributeChange,
    what: { version: number; values?: string; removed?: readonly string[] },
    call: CallOptions,
  ): Promise<void> {
    const { tenantId, entity, scope, notifyDevice } = change;
    if (!notifyDevice || entity.entityType !== "DEVICE" || scope === "CLIENT_SCOPE") return;
    const event: DeviceEvent = { kind: "attributes", tenantId, deviceId: entity.id, scope, ...what };
    await this.#deps.lanes.publish(deviceLane, entityKey(tenantId, entity), event, call);
  }

  async forget(_tenantId: string, entities: readonly EntityId[], call: CallOptions): Promise<void> {
    const { series, attributes } = this.#deps;
    await Promise.all([series.forget(entities, call), attributes.forget(entities, call)]);
  }
}

function updateOf({ entity, ts, values }: Sample): FeedUpdate {
  return { entity, changes: Object.entries(values).map(([key, value]) => ({ key, ts, value })) };
}
