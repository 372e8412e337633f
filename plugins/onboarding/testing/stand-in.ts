import { randomUUID } from "node:crypto";
import {
  type ActorKind,
  type Actors,
  type AttributeChange,
  change,
  credentialsHash,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  type DeviceProfileDocument,
  type DeviceRegistry,
  type DeviceSave,
  decodeRuleRecord,
  deviceCollection,
  deviceCredentialsCollection,
  deviceProfileCollection,
  Fault,
  invalid,
  type LaneSpec,
  type Lanes,
  type Log,
  type Msg,
  type Plain,
  putOne,
  type RelationDocument,
  type Relations,
  recordsOf,
  type Sessions,
  type Stored,
  type Telemetry,
  takenFields,
  type Value,
  type World,
} from "@heddle/plugin-sdk";
import { fakeIdentity, MemoryAttributeStore, MemoryEntityStore, silentLog } from "@heddle/plugin-sdk/testing";
import type { OnboardingDeps } from "../src/deps.ts";

export const call = { signal: new AbortController().signal };
export const tenantId = "1da6ae90-9d58-11ef-b1c2-0242ac120002";

/** What the plugin needs, over memory stores: names, tokens and keys are claimed there as in every store. */
export class StandIn {
  readonly entities = new MemoryEntityStore();
  readonly attributes = new MemoryAttributeStore();
  readonly told: Msg[] = [];
  readonly related: Omit<RelationDocument, "id">[] = [];
  /** The metadata of each device that was made. */
  readonly metadata: DeviceSave["metadata"][] = [];
  now = 1_700_000_000_000;
  /** Devices that the tenant may still have. */
  room = Number.POSITIVE_INFINITY;
  readonly #devices = this.entities.collection(deviceCollection);
  readonly #credentials = this.entities.collection(deviceCredentialsCollection);
  readonly #profiles = this.entities.collection(deviceProfileCollection);

  get deps(): OnboardingDeps {
    return {
      world: { now: () => this.now, uuid: () => randomUUID() } as unknown as World,
      log: silentLog as Log,
      actors: oneAtATime,
      lanes: {
        publish: async (lane: LaneSpec, _key: string, body: Plain) => this.#publish(lane, body),
      } as unknown as Lanes,
      entities: this.entities,
      attributes: this.attributes,
      telemetry: this.#telemetry,
      registry: this.registry,
      relations: {
        save: async (edge: Omit<RelationDocument, "id">) => void this.related.push(edge),
      } as never as Relations,
      sessions: { identify: (id: string) => this.#identify(id) } as unknown as Sessions,
    };
  }

  readonly registry = {
    devices: recordsOf(this.#devices),
    profiles: recordsOf(this.#profiles),
    save: (what: DeviceSave) => this.#save(what),
    annotate: async ({ deviceId, members }: Parameters<DeviceRegistry["annotate"]>[0]) =>
      this.#change(deviceId, (value) => ({ ...value, additionalInfo: { ...value.additionalInfo, ...members } })),
    assign: ({ deviceId, customerId, onlyFree }: Parameters<DeviceRegistry["assign"]>[0]) =>
      this.#change(deviceId, (value) => {
        if (onlyFree === true && value.customerId !== null) {
          throw new Fault("conflict", "registry.assigned", "assigned already");
        }
        return { ...value, customerId };
      }),
    credentials: async (deviceId: string) =>
      (await this.#credentials.find({ where: { deviceId }, limit: 1 }, call)).items[0],
    saveCredentials: ({ credentials }: Parameters<DeviceRegistry["saveCredentials"]>[0]) => {
      const value = { ...credentials, ...this.#idOf(credentials) } as DeviceCredentialsDocument;
      return putOne(this.#credentials, { value, expect: "any" }, call);
    },
  } as unknown as DeviceRegistry;

  async profile(more: Partial<DeviceProfileDocument> & { readonly secret?: string; readonly settings?: object }) {
    const { secret, settings, ...rest } = more;
    const provisionConfiguration = { provisionDeviceSecret: secret ?? null, ...settings };
    const value = {
      id: randomUUID(),
      tenantId,
      provisionDeviceKey: null,
      defaultRuleChainId: null,
      profileData: { provisionConfiguration },
      ...rest,
    } as DeviceProfileDocument;
    return (await putOne(this.#profiles, { value, expect: "absent" }, call)).value;
  }

  /** The only device of that name. */
  async device(name: string): Promise<DeviceDocument | undefined> {
    const { items, total } = await this.#devices.find({ where: { tenantId, name }, limit: 2 }, call);
    if (total > 1) throw new Error(`${total} devices are named ${name}`);
    return items[0]?.value;
  }

  async attribute(deviceId: string, key: string): Promise<Value | undefined> {
    return (await this.attributes.get({ entityType: "DEVICE", id: deviceId }, "SERVER_SCOPE", [key], call))[0]?.value;
  }

  async #save({ device, credentials, metadata }: DeviceSave): Promise<Stored<DeviceDocument>> {
    if (this.room-- <= 0) throw new Fault("denied", "registry.limit", "Devices limit reached");
    const id = randomUUID();
    const draft = credentials ?? { credentialsType: "ACCESS_TOKEN" as const, credentialsId: randomUUID() };
    const own = { id: randomUUID(), tenantId, createdTime: this.now, deviceId: id, credentialsValue: null };
    const value = { customerId: null, additionalInfo: null, ...device, id, tenantId } as DeviceDocument;
    try {
      const secret = { ...own, ...draft, ...this.#idOf(draft) } as DeviceCredentialsDocument;
      await putOne(this.#credentials, { value: secret, expect: "absent" }, call);
      const stored = await putOne(this.#devices, { value, expect: "absent" }, call);
      this.metadata.push(metadata);
      return stored;
    } catch (error) {
      await this.#credentials.remove([own.id], call);
      throw takenFields(error) === undefined ? error : invalid("taken");
    }
  }

  #idOf(draft: { readonly credentialsType?: string; credentialsId?: string | null; credentialsValue?: string | null }) {
    const { credentialsType, credentialsId, credentialsValue } = draft;
    return {
      credentialsId: credentialsType === "ACCESS_TOKEN" ? credentialsId : credentialsHash(credentialsValue ?? ""),
    };
  }

  async #change(id: string, to: (value: DeviceDocument) => DeviceDocument): Promise<Stored<DeviceDocument>> {
    const what = { id, kind: "Device", to: (found: Stored<DeviceDocument>) => to(found.value) };
    const changed = await change(this.#devices, what, call);
    if (changed === undefined) throw new Fault("missing", "record.missing", id);
    return changed.after;
  }

  async #identify(id: string) {
    const [found] = await this.#devices.get([id], call);
    return found === undefined ? undefined : fakeIdentity(found.value.name, { tenantId, deviceId: id });
  }

  #publish(lane: LaneSpec, body: Plain): void {
    if (lane.name === "rule-engine") this.told.push(decodeRuleRecord(body as Uint8Array));
  }

  readonly #telemetry = {
    saveAttributes: async ({ entity, scope, values }: AttributeChange & { readonly values: Record<string, Value> }) =>
      void (await this.attributes.put({ entity, scope, values, ts: this.now }, call)),
    removeAttributes: async ({ entity, scope, keys }: AttributeChange & { readonly keys: readonly string[] }) =>
      (await this.attributes.remove(entity, scope, keys, call)).removed,
  } as unknown as Telemetry;
}

/** Actors of this process: one activation of a key, one turn at a time. */
const oneAtATime: Actors = {
  ref: (kind: ActorKind, key: string) => ({
    ask: (verb: string, arg: unknown) => {
      const name = `${kind.kind} ${key}`;
      const run = async () => {
        const handlers = await kind.activate({ key, epoch: 1, signal: call.signal });
        return (handlers as Record<string, (arg: unknown, turn: unknown) => unknown>)[verb]?.(arg, {
          ...call,
          trace: "",
        });
      };
      const turn = (turns.get(name) ?? Promise.resolve()).then(run, run);
      turns.set(name, turn);
      return turn;
    },
  }),
} as unknown as Actors;
const turns = new Map<string, Promise<unknown>>();
