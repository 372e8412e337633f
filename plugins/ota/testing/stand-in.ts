import { randomUUID } from "node:crypto";
import {
  type AttributeChange,
  type Collection,
  type CollectionSpec,
  type DeviceDocument,
  type DeviceProfileDocument,
  decodeRuleRecord,
  deviceCollection,
  deviceProfileCollection,
  type EntityStore,
  type LaneSpec,
  type Lanes,
  type Log,
  type Msg,
  type Plain,
  type Sample,
  type Telemetry,
  tenantCollection,
  tenantProfileCollection,
  type Value,
  type World,
} from "@heddle/plugin-sdk";
import { MemoryAttributeStore, MemoryEntityStore, silentLog } from "@heddle/plugin-sdk/testing";

export const call = { signal: new AbortController().signal };
export const tenantId = "1da6ae90-9d58-11ef-b1c2-0242ac120002";

/** Memory stores, and what the plugin did with them. */
export class StandIn implements EntityStore {
  readonly attributes = new MemoryAttributeStore();
  /** Ids of the pieces that are stored now. */
  readonly pieces = new Set<string>();
  /** Pieces read, in order. */
  readonly reads: string[] = [];
  /** Samples, removed keys and attributes in the order of the calls. */
  readonly told: (readonly [string, unknown])[] = [];
  readonly events: Msg[] = [];
  /** Fails the next write of pieces. */
  fails: Error | undefined;
  now = 1_700_000_000_000;
  readonly #timers = new Set<{ readonly at: number; run(): void }>();
  readonly #store = new MemoryEntityStore();

  get deps() {
    return {
      world: this.world,
      log: silentLog as Log,
      lanes: {
        publish: async (lane: LaneSpec, _key: string, body: Plain) => {
          if (lane.name === "rule-engine") this.events.push(decodeRuleRecord(body as Uint8Array));
        },
      } as unknown as Lanes,
      entities: this as EntityStore,
      attributes: this.attributes,
      telemetry: this.#telemetry,
    };
  }

  readonly world = {
    now: () => this.now,
    uuid: () => randomUUID(),
    timer: (ms: number, run: () => void) => {
      const timer = { at: this.now + ms, run };
      this.#timers.add(timer);
      return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
    },
  } as unknown as World;

  pass(ms: number): void {
    this.now += ms;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.now) continue;
      this.#timers.delete(timer);
      timer.run();
    }
  }

  collection<T extends object>(spec: CollectionSpec<T>): Collection<T> {
    const real = this.#store.collection(spec);
    if (spec.name !== "ota-piece") return real;
    return {
      find: (query, how) => real.find(query, how),
      get: (ids, how) => {
        this.reads.push(...ids);
        return real.get(ids, how);
      },
      put: async (items, how) => {
        if (this.fails !== undefined) throw this.fails;
        const stored = await real.put(items, how);
        for (const { value } of items) this.pieces.add(value[spec.id] as string);
        return stored;
      },
      remove: async (ids, how) => {
        for (const id of ids) this.pieces.delete(id);
        return real.remove(ids, how);
      },
    };
  }

  async device(more: Partial<DeviceDocument> = {}): Promise<string> {
    const value = { id: randomUUID(), tenantId, name: randomUUID(), firmwareId: null, softwareId: null, ...more };
    await this.collection(deviceCollection).put([{ value: value as DeviceDocument, expect: "any" }], call);
    return value.id;
  }

  async profile(more: Partial<DeviceProfileDocument> = {}): Promise<string> {
    const value = { id: randomUUID(), tenantId, name: randomUUID(), firmwareId: null, softwareId: null, ...more };
    await this.collection(deviceProfileCollection).put(
      [{ value: value as DeviceProfileDocument, expect: "any" }],
      call,
    );
    return value.id;
  }

  /** What the tenant's packages may take, in bytes. */
  async limit(maxOtaPackagesInBytes: number): Promise<void> {
    const profile = { id: "profile", name: "p", profileData: { configuration: { maxOtaPackagesInBytes } } };
    await this.collection(tenantProfileCollection).put([{ value: profile as never, expect: "any" }], call);
    const tenant = { id: tenantId, tenantProfileId: "profile" };
    await this.collection(tenantCollection).put([{ value: tenant as never, expect: "any" }], call);
  }

  readonly #telemetry = {
    save: async (_tenantId: string, samples: readonly Sample[]) => {
      for (const { values } of samples) this.told.push(["series", values]);
    },
    saveAttributes: async (write: AttributeChange & { readonly values: Record<string, Value> }) => {
      const { entity, scope, values, notifyDevice } = write;
      this.told.push([`${scope} ${notifyDevice}`, values]);
      await this.attributes.put({ entity, scope, values, ts: this.now }, call);
    },
    removeAttributes: async ({ entity, scope, keys }: AttributeChange & { readonly keys: readonly string[] }) => {
      this.told.push(["deleted", keys]);
      return (await this.attributes.remove(entity, scope, keys, call)).removed;
    },
  } as unknown as Telemetry;
}
