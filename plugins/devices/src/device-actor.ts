import {
  type ActorKind,
  type ActorRef,
  type AttributeStore,
  type Collection,
  type DeviceEvent,
  type DeviceIdentity,
  type Handlers,
  type Lanes,
  type Log,
  publishRuleEvent,
  type RpcDocument,
  readTypedJson,
  type SessionEndReason,
  type Telemetry,
  type TimeseriesStore,
  type Value,
  type World,
} from "@heddle/plugin-sdk";
import { Activity } from "./activity.ts";
import { PendingRpc, type RpcConfig } from "./pending-rpc.ts";
import type { DeviceVerbs, SessionHubVerbs, SessionRecord } from "./verbs.ts";

export interface DeviceActorOptions {
  readonly world: World;
  readonly log: Log;
  readonly lanes: Lanes;
  readonly attributes: AttributeStore;
  readonly series: TimeseriesStore;
  readonly telemetry: Telemetry;
  readonly rpcs: () => Collection<RpcDocument>;
  readonly sessionsPerDevice: number;
  readonly inactivityMs: number;
  readonly rpc: RpcConfig;
  /** Activity is kept as time series in place of server attributes. */
  readonly activityAsSeries: boolean;
  identity(deviceId: string, signal: AbortSignal): Promise<DeviceIdentity | undefined>;
  hub(node: string): ActorRef<SessionHubVerbs>;
  /** Every node forgets what it knows of the device. */
  forgetEverywhere(deviceId: string): void;
  /** Keeps, or drops, the device in the list of those that may fall silent. */
  remember(device: { readonly key: string; readonly active: boolean }): void;
}

/** One activation of a device: its sessions, its pending calls, its activity. */
class Device {
  readonly #options: DeviceActorOptions;
  readonly #key: string;
  readonly #signal: AbortSignal;
  #identity: DeviceIdentity | undefined;
  readonly #sessions = new Map<string, SessionRecord>();
  readonly #rpc: PendingRpc;
  readonly #activity: Activity;
  /** Newest version of shared attributes that was pushed; older notices are late. */
  #pushed = 0;

  constructor(
    options: DeviceActorOptions,
    at: { key: string; signal: AbortSignal; identity: DeviceIdentity | undefined },
  ) {
    this.#options = options;
    this.#key = at.key;
    this.#signal = at.signal;
    this.#identity = at.identity;
    const [tenantId = "", deviceId = ""] = at.key.split("/");
    this.#rpc = new PendingRpc({
      world: options.world,
      log: options.log,
      signal: at.signal,
      rpcs: options.rpcs(),
      config: options.rpc,
      targets: () => this.#rpcTargets(),
      deliver: async (to, { requestId, call }, signal) => {
        const request = { requestId, method: call.method, params: call.params, oneway: call.oneway };
        await options.hub(to.node).ask("rpc", { session: to.session, request }, { signal });
      },
      close: ({ session }) => {
        const open = this.#sessions.get(session);
        if (open !== undefined) this.#end(open, "unconfirmed");
      },
      changed: (document) => this.#emit(`RPC_${document.status}`, rpcBody(document), {}),
    });
    this.#activity = new Activity({
      world: options.world,
      log: options.log,
      signal: at.signal,
      attributes: options.attributes,
      series: options.series,
      telemetry: options.telemetry,
      tenantId,
      deviceId,
      defaultTimeoutMs: options.inactivityMs,
      asSeries: options.activityAsSeries,
      emit: (type, body) => this.#emit(type, JSON.stringify(body), { scope: "SERVER_SCOPE" }),
      turned: (active) => options.remember({ key: at.key, active }),
    });
  }

  async load(): Promise<void> {
    const [, deviceId = ""] = this.#key.split("/");
    await this.#activity.load();
    await this.#rpc.load(deviceId);
  }

  handlers(): Handlers<DeviceVerbs> {
    return {
      open: (session) => this.#open(session),
      close: ({ session }) => this.#close(session),
      renew: (session) => this.#renew(session),
      heard: ({ ts, session }) => this.#heard(ts, session),
      rpc: (call) => this.#rpc.call(call),
      rpcReply: ({ requestId, payload }) => this.#rpc.reply(requestId, payload),
      cancelRpc: ({ id }) => this.#rpc.cancel(id),
      event: (event) => this.#event(event),
      wake: () => {},
      stays: () => this.#sessions.size > 0 || this.#rpc.size > 0 || this.#activity.active,
      passivate: () => {
        this.#rpc.end();
        this.#activity.end();
      },
    };
  }

  /** A poll takes one call: what it was told once it is not told again. */
  #rpcTargets(): SessionRecord[] {
    const targets = [...this.#sessions.values()].filter(({ rpc }) => rpc);
    for (const target of targets) if (target.poll) this.#sessions.set(target.session, { ...target, rpc: false });
    return targets;
  }

  #connections(): SessionRecord[] {
    return [...this.#sessions.values()].filter(({ poll }) => !poll);
  }

  /** The newest sessions win; the reference emits no DISCONNECT_EVENT for a take-over (device-api 7.2). */
  #open(session: SessionRecord): void {
    this.#sessions.set(session.session, session);
    if (session.poll) return this.#activity.heard(this.#options.world.now());
    const connections = this.#connections();
    for (const oldest of connections.splice(0, connections.length - this.#options.sessionsPerDevice)) {
      this.#end(oldest, "replaced");
    }
    if (connections.length === 1) this.#activity.connected(this.#options.world.now());
  }

  #close(session: string): void {
    const ended = this.#sessions.get(session);
    this.#sessions.delete(session);
    if (ended?.poll === false && this.#connections().length === 0)
      this.#activity.disconnected(this.#options.world.now());
  }

  #renew(session: SessionRecord): void {
    const before = this.#sessions.get(session.session);
    this.#sessions.set(session.session, session);
    if (session.rpc && before?.rpc !== true) this.#rpc.resend();
  }

  #heard(ts: number, session: SessionRecord | undefined): void {
    if (session !== undefined && !this.#sessions.has(session.session)) this.#renew(session);
    this.#activity.heard(ts);
  }

  #end(session: SessionRecord, reason: SessionEndReason): void {
    this.#sessions.delete(session.session);
    this.#options.hub(session.node).tell("end", { session: session.session, reason });
  }

  async #event(event: DeviceEvent): Promise<void> {
    switch (event.kind) {
      case "attributes":
        if (event.scope === "SHARED_SCOPE") this.#push(event);
        this.#noticeTimeout(event);
        return;
      case "updated":
        this.#identity = await this.#options.identity(event.deviceId, this.#signal);
        this.#options.forgetEverywhere(event.deviceId);
        return;
      case "credentials":
      case "deleted":
        this.#options.forgetEverywhere(event.deviceId);
        for (const session of [...this.#sessions.values()]) this.#end(session, event.kind);
        if (event.kind === "deleted") {
          this.#activity.end();
          this.#options.remember({ key: this.#key, active: false });
        }
    }
  }

  #push(event: Extract<DeviceEvent, { kind: "attributes" }>): void {
    if (event.version <= this.#pushed) return;
    this.#pushed = event.version;
    const json = event.values ?? JSON.stringify({ deleted: event.removed ?? [] });
    for (const { session, node, attributes } of this.#sessions.values()) {
      if (attributes) this.#options.hub(node).tell("attributes", { session, json });
    }
  }

  #noticeTimeout({ values, removed }: Extract<DeviceEvent, { kind: "attributes" }>): void {
    if (removed?.includes("inactivityTimeout") === true) this.#activity.timeoutChanged(undefined);
    if (values?.includes("inactivityTimeout") !== true) return;
    const changed = readTypedJson(values) as Record<string, Value>;
    if ("inactivityTimeout" in changed) this.#activity.timeoutChanged(changed["inactivityTimeout"]);
  }

  #emit(type: string, data: string, extra: Readonly<Record<string, string>>): void {
    const who = this.#identity;
    if (who === undefined) return;
    const { lanes, world, log } = this.#options;
    const event = {
      tenantId: who.tenantId,
      type,
      originator: { entityType: "DEVICE", id: who.deviceId },
      metadata: {
        deviceName: who.deviceName,
        deviceType: who.deviceType,
        ...(who.deviceLabel === undefined ? {} : { deviceLabel: who.deviceLabel }),
        ...extra,
      },
      data,
      ...(who.customerId === undefined ? {} : { customerId: who.customerId }),
      ...(who.ruleChainId === undefined ? {} : { ruleChainId: who.ruleChainId }),
    };
    publishRuleEvent({ lanes, world }, event, { signal: this.#signal }).catch((error) => {
      log.warn("rule message of a device not published", { type, device: who.deviceId, error });
    });
  }
}

function rpcBody(document: RpcDocument): string {
  const { request, response, additionalInfo, requestId: _, ...rest } = document;
  const parsed = (text: string | null) => (text === null ? null : (JSON.parse(text) as unknown));
  return JSON.stringify({
    ...rest,
    request: parsed(request),
    response: parsed(response),
    additionalInfo: parsed(additionalInfo),
  });
}

/** Keyed by tenant and device; the tenant's actor is its parent. */
export function deviceKind(options: DeviceActorOptions): ActorKind<DeviceVerbs> {
  return {
    kind: "device",
    parent: "tenant",
    placement: "partition",
    urgent: ["event", "rpc"],
    // A call that waits for its answer must not hold up the answer.
    concurrency: 4_096,
    mailbox: 1_024,
    async activate({ key, signal }) {
      const identity = await options.identity(key.slice(key.indexOf("/") + 1), signal);
      const device = new Device(options, { key, signal, identity });
      await device.load();
      return device.handlers();
    },
  };
}
