import { compact, malformed, readDocument, scalarText } from "@heddle/payload-codec";
import {
  type AttributeStore,
  type AttributesReply,
  type AttributesWanted,
  type CallOptions,
  type ClientRpc,
  type ClientRpcRequest,
  type DeviceIdentity,
  encodeRuleHead,
  encodeRuleRecord,
  entityKey,
  Fault,
  type Lanes,
  type MemoryGate,
  type RuleHead,
  ruleLane,
  type Scope,
  type SessionLimits,
  type Uplinks,
  type Value,
  type World,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import type { Limiter } from "./limits/limiter.ts";
import { type ReadLimits, readAttributes, readTelemetry, type ValueGroup } from "./payload/uplink.ts";

const done = Promise.resolve();

export interface UplinkOptions {
  readonly world: World;
  readonly memory: MemoryGate;
  readonly lanes: Lanes;
  readonly attributes: AttributeStore;
  readonly limits: ReadLimits;
  readonly node: string;
  readonly limiter: Limiter;
  /** Resolves with the answer that a rule chain gives to the call. */
  awaitReply(at: { readonly session: string; readonly requestId: number }, call: CallOptions): Promise<string>;
  /** Resolves when the owner of the device has taken the answer, and kept it where it must be. */
  rpcReply(reply: { readonly requestId: number; readonly payload: string }, call: CallOptions): Promise<void>;
  heard(ts: number): void;
}

/** What a device says, read and handed to the durable lane. */
export class DeviceUplinks implements Uplinks {
  #device: DeviceIdentity;
  readonly #options: UplinkOptions;
  readonly #session: string;
  readonly #signal: AbortSignal;
  readonly #key: string;
  /** The newest of this device's messages that wait for memory. */
  #behind: Promise<void> | undefined;
  readonly #heads = new Map<string, { meta: object | undefined; head: Uint8Array }>();

  constructor(
    device: DeviceIdentity,
    at: { readonly session: string; readonly signal: AbortSignal },
    options: UplinkOptions,
  ) {
    this.#device = device;
    this.#options = options;
    this.#session = at.session;
    this.#signal = at.signal;
    this.#key = entityKey(device.tenantId, { entityType: "DEVICE", id: device.deviceId });
  }

  get device(): DeviceIdentity {
    return this.#device;
  }

  /** Name, profile or customer have changed: what was encoded for the former ones is out of date. */
  protected follow(device: DeviceIdentity): void {
    this.#device = device;
    this.#heads.clear();
  }

  telemetry(payload: Uint8Array, meta?: Readonly<Record<string, string>>): Promise<void> {
    let groups: ValueGroup[];
    try {
      groups = readTelemetry(payload, this.#options.limits);
      this.#options.limiter.values(pointsOf(groups));
    } catch (error) {
      return Promise.reject(error);
    }
    const now = this.#options.world.now();
    this.#options.heard(now);
    const head = this.#head("POST_TELEMETRY_REQUEST", meta);
    const [only] = groups;
    if (groups.length === 1 && only !== undefined) return this.#publish(head, only, now);
    return Promise.all(groups.map((group) => this.#publish(head, group, now))).then(() => undefined);
  }

  attributes(payload: Uint8Array, meta?: Readonly<Record<string, string>>): Promise<void> {
    let group: ValueGroup;
    try {
      group = readAttributes(payload, this.#options.limits);
      this.#options.limiter.values(group.points);
    } catch (error) {
      return Promise.reject(error);
    }
    const now = this.#options.world.now();
    this.#options.heard(now);
    return this.#publish(this.#head("POST_ATTRIBUTES_REQUEST", { ...meta, notifyDevice: "false" }), group, now);
  }

  #publish(head: Uint8Array, group: ValueGroup, now: number): Promise<void> {
    // `{}` is how SDKs test a connection: heard, and nothing to store (device-api 0.4).
    if (group.points === 0) return done;
    const { body, typed, ts } = group;
    const record = encodeRuleRecord(head, { bytes: body, typed, ts: ts ?? now, stampTs: true });
    return this.#take(record);
  }

  /** Without memory the promise stays open: the transport reads no further. */
  #take(record: Uint8Array): Promise<void> {
    const { memory, lanes } = this.#options;
    const call = { signal: this.#signal };
    if (memory.open && this.#behind === undefined) return lanes.publish(ruleLane, this.#key, record, call);
    // One place in the line per device, however many messages it has: none starves the others.
    const turn = (this.#behind ?? done).then(() => memory.whenOpen(call.signal));
    const mine = turn.catch(gaveUp).then(() => {
      if (this.#behind === mine) this.#behind = undefined;
    });
    this.#behind = mine;
    return turn.then(() => lanes.publish(ruleLane, this.#key, record, call));
  }

  /** The head of a kind of message is encoded once, not with every message. */
  #head(type: string, meta: Readonly<Record<string, string>> | undefined): Uint8Array {
    const known = this.#heads.get(type);
    if (known !== undefined && known.meta === meta) return known.head;
    const head = encodeRuleHead(this.#headOf(type, meta ?? {}));
    this.#heads.set(type, { meta, head });
    return head;
  }

  #headOf(type: string, meta: Readonly<Record<string, string>>): RuleHead {
    const { tenantId, customerId, deviceId, deviceName, deviceType, ruleChainId } = this.device;
    return {
      type,
      tenantId,
      originator: { entityType: "DEVICE", id: deviceId },
      metadata: { deviceName, deviceType, ...meta },
      ...(customerId === undefined ? {} : { customerId }),
      ...(ruleChainId === undefined ? {} : { ruleChainId }),
    };
  }

  async readAttributes(want: AttributesWanted, call: CallOptions): Promise<AttributesReply> {
    this.spend();
    this.touch();
    const [client, shared] = await Promise.all([
      this.#read("CLIENT_SCOPE", want.client, call),
      this.#read("SHARED_SCOPE", want.shared, call),
    ]);
    return { ...(client === undefined ? {} : { client }), ...(shared === undefined ? {} : { shared }) };
  }

  async #read(scope: Scope, keys: readonly string[] | "all" | "none", call: CallOptions): Promise<string | undefined> {
    if (keys === "none") return undefined;
    const entity = { entityType: "DEVICE", id: this.device.deviceId };
    const found = await this.#options.attributes.get(entity, scope, keys, call);
    return found.length === 0 ? undefined : objectText(found);
  }

  rpc({ requestId, payload, paramsRequired }: ClientRpcRequest, call: CallOptions): ClientRpc {
    const { world, node, awaitReply, heard } = this.#options;
    this.spend();
    const now = world.now();
    heard(now);
    const body = rpcBody(payload, paramsRequired ?? false);
    const meta = { requestId: String(requestId), serviceId: node, sessionId: this.#session };
    const head = encodeRuleHead(this.#headOf("TO_SERVER_RPC_REQUEST", meta));
    const record = encodeRuleRecord(head, { bytes: Buffer.from(body), typed: true, ts: now, stampTs: false });
    const reply = awaitReply({ session: this.#session, requestId }, call);
    return { accepted: this.#take(record), reply };
  }

  rpcReply(requestId: number, payload: Uint8Array): Promise<void> {
    this.spend();
    this.touch();
    const reply = { requestId, payload: Buffer.from(payload).toString("utf8") };
    return this.#options.rpcReply(reply, { signal: this.#signal });
  }

  touch(): void {
    this.#options.heard(this.#options.world.now());
  }

  spend(): void {
    this.#options.limiter.message();
  }

  limits(): SessionLimits {
    return this.#options.limiter.limits;
  }
}

function pointsOf(groups: readonly ValueGroup[]): number {
  let points = 0;
  for (const group of groups) points += group.points;
  return points;
}

/** Who waited is told by its own promise. */
function gaveUp(): void {}

/** `{"method", "params"}` as the rule engine gets it (device-api 2.6). */
function rpcBody(payload: Uint8Array, paramsRequired: boolean): string {
  const document = readDocument(payload);
  if (document.type !== "object") throw malformed(`an rpc request is an object, not ${document.type}`);
  const name = scalarText(document.members.get("method"));
  if (name === undefined) throw malformed("an rpc request has a `method`, a text");
  const params = document.members.get("params");
  if (paramsRequired && params === undefined) throw malformed("an rpc request has `params`");
  return `{"method":${JSON.stringify(name)},"params":${params === undefined ? "null" : compact(params)}}`;
}

function objectText(attributes: readonly { readonly key: string; readonly value: Value }[]): string {
  return writeTypedJson(Object.fromEntries(attributes.map(({ key, value }) => [key, value])));
}

export function rpcTimeout(ms: number): Fault {
  return new Fault("unavailable", "rpc.timeout", `no rule chain answered the call within ${ms / 1000} s`);
}
