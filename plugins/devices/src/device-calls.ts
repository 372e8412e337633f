import {
  type ActorKind,
  type Actors,
  type CallOptions,
  type Cluster,
  type DeviceControl,
  entityKey,
  type Lanes,
  nullId,
  publishRuleEvent,
  type RpcCall,
  type RpcOutcome,
  type World,
} from "@heddle/plugin-sdk";
import type { DeviceSessions } from "./device-sessions.ts";
import type { Identities } from "./identities.ts";
import type { DeviceVerbs } from "./verbs.ts";

/** The rule chain gets this much longer than the call lives: its own answer comes first (runtime 5). */
const graceMs = 1_000;

interface Deps {
  readonly world: World;
  readonly actors: Actors;
  readonly cluster: Cluster;
  readonly lanes: Lanes;
}

/** Server-side RPC from its callers to the device's actor and back. */
export class DeviceCalls implements DeviceControl {
  readonly #deps: Deps;
  readonly #sessions: DeviceSessions;
  readonly #identities: () => Identities;
  readonly #device: () => ActorKind<DeviceVerbs>;

  constructor(
    deps: Deps,
    parts: { sessions: DeviceSessions; identities: () => Identities; device: () => ActorKind<DeviceVerbs> },
  ) {
    this.#deps = deps;
    this.#sessions = parts.sessions;
    this.#identities = parts.identities;
    this.#device = parts.device;
  }

  async request(call: RpcCall, options: CallOptions): Promise<RpcOutcome> {
    const who = await this.#identities().byDevice(call.deviceId, options);
    if (who === undefined) return { error: "NOT_FOUND" };
    const { world, cluster, lanes } = this.#deps;
    const waiting = this.#wait(call, options);
    const event = {
      tenantId: call.tenantId,
      type: "RPC_CALL_FROM_SERVER_TO_DEVICE",
      originator: { entityType: "DEVICE", id: call.deviceId },
      metadata: {
        requestUUID: call.id,
        originServiceId: cluster.self,
        expirationTime: String(call.expiresAt),
        oneway: String(call.oneway),
        persistent: String(call.persistent),
        ...(call.retries === undefined ? {} : { retries: String(call.retries) }),
        deviceName: who.deviceName,
        deviceType: who.deviceType,
      },
      data: JSON.stringify({ method: call.method, params: call.params, additionalInfo: call.additionalInfo ?? null }),
      ...(who.customerId === undefined || who.customerId === nullId ? {} : { customerId: who.customerId }),
      ...(who.ruleChainId === undefined ? {} : { ruleChainId: who.ruleChainId }),
    };
    await publishRuleEvent({ lanes, world }, event, options);
    return waiting;
  }

  #wait(call: RpcCall, { signal }: CallOptions): Promise<RpcOutcome> {
    const { waiting } = this.#sessions;
    const { world } = this.#deps;
    return new Promise((resolve, reject) => {
      const end = (act: () => void) => {
        waiting.delete(call.id);
        timer[Symbol.dispose]();
        signal.removeEventListener("abort", cancel);
        act();
      };
      const wait = Math.max(0, call.expiresAt - world.now()) + graceMs;
      const timer = world.timer(wait, () => end(() => resolve({ error: "TIMEOUT" })));
      const cancel = () => end(() => reject(signal.reason));
      signal.addEventListener("abort", cancel, { once: true });
      waiting.set(call.id, (outcome) => end(() => resolve(outcome)));
    });
  }

  async send(call: RpcCall, options: CallOptions): Promise<RpcOutcome> {
    return await this.#ref(call).ask("rpc", call, options);
  }

  settle({ node, id }: { readonly node: string; readonly id: string }, outcome: RpcOutcome): void {
    this.#deps.actors.at(node, this.#sessions.hub, "sessions").tell("settle", { id, outcome });
  }

  async cancel(
    at: { readonly tenantId: string; readonly deviceId: string; readonly id: string },
    options: CallOptions,
  ): Promise<void> {
    await this.#ref(at).ask("cancelRpc", { id: at.id }, options);
  }

  reply(to: { readonly node: string; readonly sessionId: string; readonly requestId: number }, json: string): void {
    const { node, sessionId: session, requestId } = to;
    this.#deps.actors.at(node, this.#sessions.hub, "sessions").tell("reply", { session, requestId, json });
  }

  #ref({ tenantId, deviceId }: { readonly tenantId: string; readonly deviceId: string }) {
    return this.#deps.actors.ref(this.#device(), entityKey(tenantId, { entityType: "DEVICE", id: deviceId }));
  }
}
