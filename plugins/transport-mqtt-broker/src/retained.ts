import {
  type AttributeStore,
  type CallOptions,
  type Collection,
  type DeviceDocument,
  deviceCollection,
  type EntityStore,
  type Scope,
  scopes,
  type TimeseriesStore,
} from "@heddle/plugin-sdk";
import { attributesText, stateText, telemetryText } from "./device-texts.ts";
import { type RetainedDocument, retainedCollection } from "./documents.ts";
import type { Emitted } from "./emitter.ts";
import { covers, type DeviceTopic, devicesOf, deviceTopic, filterWithin } from "./topics.ts";

export interface RetainedOptions {
  readonly tenantId: string;
  readonly entities: EntityStore;
  readonly attributes: AttributeStore;
  readonly series: TimeseriesStore;
  readonly call: CallOptions;
  /** Topics with a retained message, of one tenant. */
  readonly most: number;
}

export interface Retained {
  readonly cmd: "publish";
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
}

const pageSize = 200;

/** What a new subscription gets first: retained messages of free topics, and of devices what is stored of them. */
export class RetainedMessages {
  readonly #options: RetainedOptions;
  readonly #free: Collection<RetainedDocument>;
  readonly #devices: Collection<DeviceDocument>;

  constructor(options: RetainedOptions) {
    this.#options = options;
    this.#free = options.entities.collection(retainedCollection);
    this.#devices = options.entities.collection(deviceCollection);
  }

  /** An empty payload takes the topic's message away (MQTT 3.1.1, 3.3.1.3). False when there are too many topics. */
  async keep({ topic, payload, qos }: Emitted): Promise<boolean> {
    const { tenantId, call, most } = this.#options;
    if (payload.length === 0) {
      await this.#free.remove([topic], call);
      return true;
    }
    const [[known], { total }] = await Promise.all([
      this.#free.get([topic], call),
      this.#free.find({ where: { tenantId }, limit: 1 }, call),
    ]);
    if (known === undefined && total >= most) return false;
    const value = { id: topic, tenantId, qos, payload: Buffer.from(payload).toString("base64") };
    await this.#free.put([{ value, expect: "any" }], call);
    return true;
  }

  async *matching(filters: readonly string[]): AsyncGenerator<Retained> {
    for (const filter of filters) {
      const inner = filterWithin(this.#options.tenantId, filter);
      if (inner === undefined) continue;
      yield* this.#freeOnes(filter);
      yield* this.#deviceOnes(inner);
    }
  }

  async *#freeOnes(filter: string): AsyncGenerator<Retained> {
    const { tenantId, call } = this.#options;
    const sort = { by: "id", order: "asc" } as const;
    for (let page = 0; ; page++) {
      const { items } = await this.#free.find({ where: { tenantId }, sort, page, limit: pageSize }, call);
      for (const { value } of items) {
        if (!covers(filter, value.id)) continue;
        yield { cmd: "publish", topic: value.id, qos: value.qos, payload: Buffer.from(value.payload, "base64") };
      }
      if (items.length < pageSize) return;
    }
  }

  async *#deviceOnes(filter: string): AsyncGenerator<Retained> {
    const wanted = devicesOf(filter);
    if (wanted === undefined) return;
    const { tenantId, call } = this.#options;
    if (wanted.device !== "all") {
      const [found] = await this.#devices.get([wanted.device], call);
      if (found?.value.tenantId === tenantId) yield* this.#ofDevice(found.value, wanted.what);
      return;
    }
    const sort = { by: "createdTime", order: "asc" } as const;
    for (let page = 0; ; page++) {
      const { items } = await this.#devices.find({ where: { tenantId }, sort, page, limit: pageSize }, call);
      for (const { value } of items) yield* this.#ofDevice(value, wanted.what);
      if (items.length < pageSize) return;
    }
  }

  async *#ofDevice(device: DeviceDocument, what: readonly DeviceTopic[]): AsyncGenerator<Retained> {
    const { tenantId } = this.#options;
    for (const kind of what) {
      for (const text of await this.#texts(device, kind)) {
        yield { cmd: "publish", topic: deviceTopic(tenantId, device.id, kind), qos: 1, payload: Buffer.from(text) };
      }
    }
  }

  async #texts(device: DeviceDocument, what: DeviceTopic): Promise<string[]> {
    const { attributes, series, call } = this.#options;
    const entity = { entityType: "DEVICE", id: device.id };
    if (what === "telemetry") return telemetryText(device, await series.latest(entity, "all", call));
    const of = (scope: Scope) => attributes.get(entity, scope, "all", call);
    if (what === "event") return stateText(device, await of("SERVER_SCOPE"));
    const all = await Promise.all(
      scopes.map(async (scope) => attributesText(device, { scope, values: await of(scope) })),
    );
    return all.flat();
  }
}
