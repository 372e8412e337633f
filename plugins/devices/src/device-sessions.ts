import {
  type ActorKind,
  type ActorRef,
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
  type RpcOutcome,
  type Session,
  type SessionEnd,
  type SessionEndReason,
  type SessionInfo,
  type Uplinks,
  type World,
} from "@heddle/plugin-sdk";
import type { Identities } from "./identities.ts";
import { clientRpcMs, DeviceUplinks, rpcTimeout, type UplinkOptions } from "./uplinks.ts";
import type { DeviceVerbs, SessionHubVerbs, SessionRecord } from "./verbs.ts";

/** Of what is heard within this time only the last is told (device-api 7.3). */
const reportMs = 3_000;
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
  readonly device: () => ActorKind<DeviceVerbs>;
  /** Sessions silent for so long are closed (device-api 2.10). */
  readonly idleMs: number;
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
  readonly #replies = new Map<string, Replies>();
  /** Calls from this node that a rule chain takes to their device: resolved by `settle`. */
  readonly waiting = new Map<string, WaitingCall>();
  /** When a visiting device was last reported, by device. */
  readonly #visits = new Map<string, number>();
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
    for (const session of [...this.#open.values()]) session.end("leaving");
  }

  async authenticate(by: DeviceProof, call: CallOptions): Promise<DeviceIdentity | undefined> {
    const { memory } = this.#options;
    if (!memory.open) await memory.whenOpen(call.signal);
    return this.#options.identities().authenticate(by, call);
  }

  identify(deviceId: string, call: CallOptions): Promise<DeviceIdentity | undefined> {
    return this.#options.identities().byDevice(deviceId, call);
  }

  async open(who: DeviceIdentity, about: SessionInfo, down: Downlinks, call: CallOptions): Promise<Session> {
    const { world, actors, cluster, device } = this.#options;
    const id = world.uuid();
    const session: LocalSession = new LocalSession(
      who,
      { id, down, poll: about.poll ?? false },
      this.#uplinkOptions(who, (ts) => session.heard(ts)),
      {
        world,
        cluster,
        idleMs: this.#options.idleMs,
        owner: () => actors.ref(device(), entityKey(who.tenantId, { entityType: "DEVICE", id: who.deviceId })),
        onEnd: () => this.#open.delete(id),
      },
    );
    this.#open.set(id, session);
    try {
      await session.announce(call);
    } catch (error) {
      this.#open.delete(id);
      throw error;
    }
    return session;
  }

  visit(who: DeviceIdentity): Uplinks {
    const { world, actors, device } = this.#options;
    const heard = (ts: number) => {
      if (ts - (this.#visits.get(who.deviceId) ?? 0) < reportMs) return;
      this.#visits.set(who.deviceId, ts);
      const key = entityKey(who.tenantId, { entityType: "DEVICE", id: who.deviceId });
      actors.ref(device(), key).tell("heard", { ts });
    };
    return new DeviceUplinks(who, { session: world.uuid(), signal: neverAborts }, this.#uplinkOptions(who, heard));
  }

  #uplinkOptions(who: DeviceIdentity, heard: (ts: number) => void): UplinkOptions {
    const { world, memory, lanes, attributes, stringLength, cluster, actors, device } = this.#options;
    return {
      world,
      memory,
      lanes,
      attributes,
      limits: { stringLength },
      node: cluster.self,
      heard,
      awaitReply: (at, call) => this.#awaitReply(at, call),
      rpcReply: (_who, reply) =>
        actors
          .ref(device(), entityKey(who.tenantId, { entityType: "DEVICE", id: who.deviceId }))
          .tell("rpcReply", reply),
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
      const timer = this.#options.world.timer(clientRpcMs, () => end(() => reject(rpcTimeout())));
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
        forget: ({ deviceId }) => this.#options.identities().forget(deviceId),
      }),
    };
  }

  #session(id: string): LocalSession {
    const session = this.#open.get(id);
    if (session === undefined) throw new Fault("missing", "session.gone", `session ${id} has ended`);
    return session;
  }

  #deliverAttributes(session: string, json: string): void {
    const open = this.#open.get(session);
    open?.down.deliverAttributes(json, { signal: open.closed }).catch((error) => {
      if (!open.closed.aborted) this.#options.log.debug("attributes not delivered", { session, error });
    });
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

interface LocalSessionOptions {
  readonly world: World;
  readonly cluster: Cluster;
  readonly idleMs: number;
  owner(): ActorRef<DeviceVerbs>;
  onEnd(): void;
}

class LocalSession extends DeviceUplinks implements Session {
  readonly id: string;
  readonly down: Downlinks;
  readonly #options: LocalSessionOptions;
  readonly #end: AbortController;
  readonly #key: string;
  readonly #poll: boolean;
  #rpc = false;
  #attributes = false;
  #lastHeard: number;
  #lastReport = 0;
  #ownedBy: string | undefined;

  constructor(
    who: DeviceIdentity,
    at: { id: string; down: Downlinks; poll: boolean },
    uplinks: UplinkOptions,
    options: LocalSessionOptions,
  ) {
    const end = new AbortController();
    super(who, { session: at.id, signal: end.signal }, uplinks);
    this.id = at.id;
    this.down = at.down;
    this.#poll = at.poll;
    this.#options = options;
    this.#end = end;
    this.#key = entityKey(who.tenantId, { entityType: "DEVICE", id: who.deviceId });
    this.#lastHeard = options.world.now();
  }

  get closed(): AbortSignal {
    return this.#end.signal;
  }

  async announce(call: CallOptions): Promise<void> {
    this.#ownedBy = this.#options.cluster.ownerOf(this.#key);
    this.#lastReport = this.#options.world.now();
    await this.#owner().ask("open", this.#record(), call);
  }

  async subscribe(what: "attributes" | "rpc", on: boolean, call: CallOptions): Promise<void> {
    if (what === "rpc") this.#rpc = on;
    else this.#attributes = on;
    await this.#owner().ask("renew", this.#record(), call);
  }

  heard(ts: number): void {
    this.#lastHeard = ts;
    if (ts - this.#lastReport < reportMs) return;
    this.#lastReport = ts;
    this.#owner().tell("heard", { ts, session: this.#record() });
  }

  /** A new owner of the device does not know this session yet. */
  followOwner(gained: ReadonlySet<number>): void {
    const { cluster } = this.#options;
    const owner = cluster.ownerOf(this.#key);
    if (owner === this.#ownedBy && !gained.has(cluster.partitionOf(this.#key))) return;
    this.#ownedBy = owner;
    if (owner !== undefined) this.#owner().tell("renew", this.#record());
  }

  endWhenIdle(now: number): void {
    if (now - this.#lastHeard > this.#options.idleMs) this.end("idle");
  }

  end(reason: SessionEndReason, tell = true): void {
    if (this.#end.signal.aborted) return;
    this.#options.onEnd();
    this.#end.abort({ reason } satisfies SessionEnd);
    if (tell) this.#owner().tell("close", { session: this.id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end("leaving");
  }

  #owner(): ActorRef<DeviceVerbs> {
    return this.#options.owner();
  }

  #record(): SessionRecord {
    return {
      session: this.id,
      node: this.#options.cluster.self,
      rpc: this.#rpc,
      attributes: this.#attributes,
      poll: this.#poll,
    };
  }
}
