import {
  type ActorKind,
  type Actors,
  asFault,
  type CallOptions,
  type Cluster,
  type DeviceControl,
  entityKey,
  Fault,
  type Lanes,
  nullId,
  passRuleEvent,
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
  readonly #signal: AbortSignal;

  constructor(
    deps: Deps,
    parts: {
      sessions: DeviceSessions;
      identities: () => Identities;
      device: () => ActorKind<DeviceVerbs>;
      signal: AbortSignal;
    },
  ) {
    this.#deps = deps;
    this.#sessions = parts.sessions;
    this.#identities = parts.identities;
    this.#device = parts.device;
    this.#signal = parts.signal;
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
    const failed = (error: unknown) => this.#sessions.waiting.get(call.id)?.fail(error);
    if (call.persistent) publishRuleEvent({ lanes, world }, event, options).catch(failed);
    // A call that is not kept needs no store on its way. A chain that fails it leaves it to its expiry (runtime 2.3).
    else
      passRuleEvent({ lanes, world }, event, { signal: this.#signal }).catch((error) => {
        if (asFault(error).code.startsWith("actor.")) failed(error);
      });
    return waiting;
  }

  /** Ends with the outcome, at the latest when the call expires; fails when the device's owner has changed meanwhile. */
  #wait(call: RpcCall, { signal }: CallOptions): Promise<RpcOutcome> {
    const { waiting } = this.#sessions;
    const { world, cluster } = this.#deps;
    const key = entityKey(call.tenantId, { entityType: "DEVICE", id: call.deviceId });
    const owner = cluster.ownerOf(key);
    return new Promise((resolve, reject) => {
      const end = (act: () => void) => {
        waiting.delete(call.id);
        timer[Symbol.dispose]();
        watch[Symbol.dispose]();
        signal.removeEventListener("abort", cancel);
        act();
      };
      const fail = (error: unknown) => end(() => reject(error));
      const wait = Math.max(0, call.expiresAt - world.now()) + graceMs;
      const timer = world.timer(wait, () => end(() => resolve({ error: "TIMEOUT" })));
      const watch = cluster.onChange(() => {
        if (!call.persistent && cluster.ownerOf(key) !== owner)
          fail(
            new Fault("unavailable", "rpc.moved", `the node that carried the call ${call.id} left before its answer`),
          );
      });
      const cancel = () => fail(signal.reason);
      signal.addEventListener("abort", cancel, { once: true });
      waiting.set(call.id, { settle: (outcome) => end(() => resolve(outcome)), fail });
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
