import type {
  ActorKind,
  Actors,
  Cluster,
  Collection,
  CollectionSpec,
  EntityStore,
  Log,
  World,
} from "@heddle/plugin-sdk";
import type { DeviceVerbs } from "./verbs.ts";

interface ActiveDevice {
  /** Key of the device's actor. */
  readonly key: string;
  readonly partition: number;
}
const activeDevices: CollectionSpec<ActiveDevice> = { name: "active-device", id: "key", indexes: [["partition"]] };
const pageSize = 1_000;

interface Deps {
  readonly world: World;
  readonly log: Log;
  readonly actors: Actors;
  readonly cluster: Cluster;
  readonly entities: EntityStore;
}

/**
 * Which devices may fall silent. Their actors stay in memory while they are active; after a restart or a hand-over the
 * new owner wakes them, so that silence is noticed although nobody speaks.
 */
export class ActiveDevices {
  readonly #deps: Deps;
  readonly #signal: AbortSignal;
  readonly #device: ActorKind<DeviceVerbs>;
  readonly #active: Collection<ActiveDevice>;
  #writes: Promise<void> = Promise.resolve();

  constructor(deps: Deps, device: ActorKind<DeviceVerbs>, signal: AbortSignal) {
    this.#deps = deps;
    this.#device = device;
    this.#signal = signal;
    this.#active = deps.entities.collection(activeDevices);
  }

  remember({ key, active }: { readonly key: string; readonly active: boolean }): void {
    const { cluster, log } = this.#deps;
    const call = { signal: this.#signal };
    const value = { key, partition: cluster.partitionOf(key) };
    this.#writes = this.#writes
      .then(() =>
        active
          ? this.#active.put([{ value, expect: "any" }], call).then(() => undefined)
          : this.#active.remove([key], call).then(() => undefined),
      )
      .catch((error) => log.warn("list of active devices not written", { key, error }));
  }

  /** Wakes the active devices of partitions that this node has taken. */
  async wake(partitions: readonly number[]): Promise<void> {
    const { actors, log } = this.#deps;
    try {
      for (let page = 0; ; page++) {
        const where = { partition: { in: partitions } };
        const found = await this.#active.find({ where, limit: pageSize, page }, { signal: this.#signal });
        for (const { value } of found.items) actors.ref(this.#device, value.key).tell("wake", null);
        if ((page + 1) * pageSize >= found.total) return;
      }
    } catch (error) {
      if (!this.#signal.aborted) log.warn("active devices not woken", { partitions: partitions.length, error });
    }
  }
}
