import {
  type ActorKind,
  type Actors,
  type AttributeStore,
  type CallOptions,
  type Cluster,
  type DeviceIdentity,
  type DeviceProof,
  type Downlinks,
  entityKey,
  Fault,
  type Lanes,
  type Log,
  type MemoryGate,
  type Origin,
  type RpcOutcome,
  type Session,
  type SessionInfo,
  type Uplinks,
  type World,
} from "@heddle/plugin-sdk";
import type { Identities } from "./identities.ts";
import { Limiter } from "./limits/limiter.ts";
import type { TenantTerms, Whose } from "./limits/tenant-terms.ts";
import type { Tenants } from "./limits/tenants.ts";
import { LocalSession, reportMs } from "./local-session.ts";
import type { Strangers } from "./strangers.ts";
import { DeviceUplinks, rpcTimeout, type UplinkOptions } from "./uplinks.ts";
import type { DeviceVerbs, SessionHubVerbs } from "./verbs.ts";

const sweepMs = 10_000;

export interface DeviceSessionsOptions {
  readonly world: World;
  readonly log: Log;
  readonly memory: MemoryGate;
  readonly actors: Actors;
  readonly cluster: Cluster;
  readonly lanes: Lanes;
  readonly attributes: AttributeStore;
  readonly identities: () => Identities;
  readonly tenants: Tenants;
  readonly strangers: Strangers;
  limited(whose: Whose | "usage", counted: string): void;
  readonly device: () => ActorKind<DeviceVerbs>;
  /** Sessions silent for so long are closed (device-api 2.10). */
  readonly idleMs: number;
  /** A device's own call is answered by then (device-api 2.6). */
  readonly clientRpcMs: number;
  readonly stringLength: number;
}

/** Who waits for the outcome of a call. */
export interface WaitingCall {
  settle(outcome: RpcOutcome): void;
  fail(error: unknown): void;
}

interface Replies {
  settle(json: string): void;
}

/** The sessions of this node, and the hub through which other nodes reach them. */
export class DeviceSessions {
  readonly hub: ActorKind<SessionHubVerbs>;
  readonly #options: DeviceSessionsOptions;
  readonly #open = new Map<string, LocalSession>();
  readonly #byDevice = new Map<string, Set<LocalSession>>();
  readonly #replies = new Map<string, Replies>();
  /** Calls from this node that a rule chain takes to their device: resolved by `settle`. */
  readonly waiting = new Map<string, WaitingCall>();
  /** When a visiting device was last reported, by device. */
  readonly #visits = new Map<string, number>();
  /** What was heard of them since: by key of the device's actor. */
  readonly #lateVisits = new Map<string, { readonly deviceId: string; readonly ts: number }>();
  readonly #lateSessions = new Set<LocalSession>();
  #reporter: Disposable | undefined;
  #watch: Disposable | undefined;
  #sweeper: Disposable | undefined;

  constructor(options: DeviceSessionsOptions) {
    this.#options = options;
    this.hub = this.#hubKind();
  }

  get size(): number {
    return this.#open.size;
  }

  async start(): Promise<void> {
    const { cluster } = this.#options;
    this.#watch = cluster.onChange(({ gained }) => {
      const here = new Set(gained);
      for (const session of this.#open.values()) session.followOwner(here);
    });
    this.#sweepLater();
  }

  async close(): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    this.#sweeper?.[Symbol.dispose]();
    this.#reporter?.[Symbol.dispose]();
    this.#reportLate();
    for (const session of [...this.#open.values()]) session.end("leaving");
  }

  async authenticate(
    by: DeviceProof,
    call: CallOptions & { readonly from?: Origin },
  ): Promise<DeviceIdentity | undefined> {
    const { memory, identities, tenants, strangers } = this.#options;
    if (!memory.open) await memory.whenOpen(call.signal);
    const who = await identities().authenticate(by, call);
    if (who === undefined && call.from !== undefined) await strangers.wrong(call.from, call.signal);
    if (who !== undefined && !tenants.isKnown(who.tenantId)) await tenants.know(who.tenantId, call);
    return who;
  }

  isBlocked(address: string): boolean {
    return this.#options.strangers.isBlocked(address);
  }

  identify(deviceId: string, call: CallOptions): Promise<DeviceIdentity | undefined> {
    return this.#options.identities().byDevice(deviceId, call);
  }

  async open(who: DeviceIdentity, about: SessionInfo, down: Downlinks, call: CallOptions): Promise<Session> {
    const { world, actors, cluster, device, tenants } = this.#options;
    if (!tenants.isKnown(who.tenantId)) await tenants.know(who.tenantId, call);
    const gateway = about.through === undefined ? undefined : this.#open.get(about.through.id);
    if (about.through !== undefined && gateway === undefined) throw gone(about.through.id);
    const limiter = this.#limiterOf(who, gateway?.device);
    limiter.message();
    // The first use of a child costs its gateway a second one (device-api corrections, GW-24).
    if (gateway !== undefined) limiter.message();
    const id = world.uuid();
    const session: LocalSession = new LocalSession(
      who,
      { id, down, poll: about.poll ?? false, gateway },
      this.#uplinkOptions(who, limiter, (ts) => session.heard(ts)),
      {
        world,
        cluster,
        idleMs: this.#options.idleMs,
        owner: () => actors.ref(device(), entityKey(who.tenantId, { entityType: "DEVICE", id: who.deviceId })),
        reportLater: (late) => {
          this.#lateSessions.add(late);
          this.#reportLater();
        },
        onEnd: (ended) => this.#drop(ended),
      },
    );
    this.#keep(session);
    try {
      await session.announce(call);
    } catch (error) {
      this.#drop(session);
      throw error;
    }
    return session;
  }

  #keep(session: LocalSession): void {
    const { deviceId } = session.device;
    this.#open.set(session.id, session);
    const same = this.#byDevice.get(deviceId) ?? new Set();
    this.#byDevice.set(deviceId, same.add(session));
  }

  #drop(session: LocalSession): void {
    const { deviceId } = session.device;
    this.#open.delete(session.id);
    this.#lateSessions.delete(session);
    const same = this.#byDevice.get(deviceId);
    same?.delete(session);
    if (same?.size === 0) this.#byDevice.delete(deviceId);
  }

  /** A child counts against its gateway, a gateway against limits of its own kind (device-api 0.6). */
  #limiterOf(who: DeviceIdentity, gateway: DeviceIdentity | undefined): Limiter {
    const { world, tenants, limited } = this.#options;
    const terms: TenantTerms = tenants.of(who.tenantId);
    const whose = gateway !== undefined ? "gateway" : who.gateway ? "gatewayDevice" : "device";
    const { deviceId } = gateway ?? who;
    return new Limiter({ world, terms, whose, deviceId, refused: limited });
  }

  visit(who: DeviceIdentity): Uplinks {
    const { world, actors, device } = this.#options;
    const { deviceId } = who;
    const key = entityKey(who.tenantId, { entityType: "DEVICE", id: deviceId });
    const heard = (ts: number) => {
      if (ts - (this.#visits.get(deviceId) ?? 0) < reportMs) {
        this.#lateVisits.set(key, { deviceId, ts });
        return this.#reportLater();
      }
      this.#visits.set(deviceId, ts);
      actors.ref(device(), key).tell("heard", { ts });
    };
    const options = this.#uplinkOptions(who, this.#limiterOf(who, undefined), heard);
    return new DeviceUplinks(who, { session: world.uuid(), signal: neverAborts }, options);
  }

  #uplinkOptions(who: DeviceIdentity, limiter: Limiter, heard: (ts: number) => void): UplinkOptions {
    const { world, memory, lanes, attributes, stringLength, cluster, actors, device } = this.#options;
    return {
      world,
      memory,
      lanes,
      attributes,
      limits: { stringLength },
      node: cluster.self,
      limiter,
      heard,
      awaitReply: (at, call) => this.#awaitReply(at, call),
      rpcReply: async (reply, call) => {
        const key = entityKey(who.tenantId, { entityType: "DEVICE", id: who.deviceId });
        await actors.ref(device(), key).ask("rpcReply", reply, call);
      },
    };
  }

  /** A second call with the same id takes the place of the first (device-api 2.6). */
  #awaitReply(
    { session, requestId }: { session: string; requestId: number },
    { signal }: CallOptions,
  ): Promise<string> {
    const id = `${session}/${requestId}`;
    return new Promise((resolve, reject) => {
      const end = (act: () => void) => {
        timer[Symbol.dispose]();
        signal.removeEventListener("abort", cancel);
        if (this.#replies.get(id) === mine) this.#replies.delete(id);
        act();
      };
      const { world, clientRpcMs } = this.#options;
      const timer = world.timer(clientRpcMs, () => end(() => reject(rpcTimeout(clientRpcMs))));
      const cancel = () => end(() => reject(signal.reason));
      const mine: Replies = { settle: (json) => end(() => resolve(json)) };
      signal.addEventListener("abort", cancel, { once: true });
      this.#replies.set(id, mine);
    });
  }

  #hubKind(): ActorKind<SessionHubVerbs> {
    return {
      kind: "session-hub",
      placement: "node",
      resident: true,
      concurrency: 65_536,
      mailbox: 65_536,
      activate: () => ({
        rpc: ({ session, request }, turn) => this.#session(session).down.deliverRpc(request, turn),
        attributes: ({ session, json }) => this.#deliverAttributes(session, json),
        end: ({ session, reason }) => this.#open.get(session)?.end(reason, false),
        reply: ({ session, requestId, json }) => this.#replies.get(`${session}/${requestId}`)?.settle(json),
        settle: ({ id, outcome }) => this.waiting.get(id)?.settle(outcome),
        forget: ({ deviceId }, turn) => this.#forget(deviceId, turn),
      }),
    };
  }

  /** What is known of the device is out of date: open sessions go on as the device is now (device-api 2.10). */
  async #forget(deviceId: string, call: CallOptions): Promise<void> {
    const identities = this.#options.identities();
    identities.forget(deviceId);
    const sessions = this.#byDevice.get(deviceId);
    if (sessions === undefined) return;
    const now = await identities.byDevice(deviceId, call);
    if (now !== undefined) for (const session of sessions) session.changed(now);
  }

  #session(id: string): LocalSession {
    const session = this.#open.get(id);
    if (session === undefined) throw gone(id);
    return session;
  }

  #deliverAttributes(session: string, json: string): void {
    const open = this.#open.get(session);
    open?.down.deliverAttributes(json, { signal: open.closed }).catch((error) => {
      if (!open.closed.aborted) this.#options.log.debug("attributes not delivered", { session, error });
    });
  }

  #reportLater(): void {
    this.#reporter ??= this.#options.world.timer(reportMs, () => this.#reportLate());
  }

  #reportLate(): void {
    const { actors, device } = this.#options;
    this.#reporter = undefined;
    for (const session of this.#lateSessions) session.report();
    this.#lateSessions.clear();
    for (const [key, { deviceId, ts }] of this.#lateVisits) {
      this.#visits.set(deviceId, ts);
      actors.ref(device(), key).tell("heard", { ts });
    }
    this.#lateVisits.clear();
  }

  #sweepLater(): void {
    const { world } = this.#options;
    this.#sweeper = world.timer(sweepMs, () => {
      const now = world.now();
      for (const session of this.#open.values()) session.endWhenIdle(now);
      for (const [device, ts] of this.#visits) if (now - ts > reportMs) this.#visits.delete(device);
      this.#sweepLater();
    });
  }
}

const neverAborts = new AbortController().signal;

function gone(session: string): Fault {
  return new Fault("missing", "session.gone", `session ${session} has ended`);
}
