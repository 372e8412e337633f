import {
  type ActorRef,
  type CallOptions,
  type Cluster,
  type DeviceIdentity,
  type Downlinks,
  entityKey,
  type Session,
  type SessionEnd,
  type SessionEndReason,
  type World,
} from "@heddle/plugin-sdk";
import { DeviceUplinks, type UplinkOptions } from "./uplinks.ts";
import type { DeviceVerbs, SessionRecord } from "./verbs.ts";

/** Of what is heard within this time only the last is told (device-api 7.3). */
export const reportMs = 3_000;

export interface LocalSessionOptions {
  readonly world: World;
  readonly cluster: Cluster;
  readonly idleMs: number;
  owner(): ActorRef<DeviceVerbs>;
  /** Calls `report` of the session soon. */
  reportLater(session: LocalSession): void;
  onEnd(session: LocalSession): void;
}

/** A session whose transport is on this node. */
export class LocalSession extends DeviceUplinks implements Session {
  readonly id: string;
  readonly down: Downlinks;
  readonly #options: LocalSessionOptions;
  readonly #end: AbortController;
  readonly #key: string;
  readonly #poll: boolean;
  /** The session that speaks for this device. */
  readonly #gateway: LocalSession | undefined;
  #children: Set<LocalSession> | undefined;
  #rpc = false;
  #attributes = false;
  #lastHeard: number;
  #lastReport = 0;
  /** Something was heard since the last report. */
  #owesReport = false;
  #ownedBy: string | undefined;

  constructor(
    who: DeviceIdentity,
    at: { id: string; down: Downlinks; poll: boolean; gateway: LocalSession | undefined },
    uplinks: UplinkOptions,
    options: LocalSessionOptions,
  ) {
    const end = new AbortController();
    super(who, { session: at.id, signal: end.signal }, uplinks);
    this.id = at.id;
    this.down = at.down;
    this.#poll = at.poll;
    this.#gateway = at.gateway;
    this.#options = options;
    this.#end = end;
    this.#key = entityKey(who.tenantId, { entityType: "DEVICE", id: who.deviceId });
    this.#lastHeard = options.world.now();
  }

  get closed(): AbortSignal {
    return this.#end.signal;
  }

  async announce(call: CallOptions): Promise<void> {
    this.#gateway?.adopt(this);
    this.#ownedBy = this.#options.cluster.ownerOf(this.#key);
    this.#lastReport = this.#options.world.now();
    await this.#owner().ask("open", this.#record(), call);
  }

  /** What the device is stays as it was when the session was opened; how it is called and treated does not. */
  changed(now: DeviceIdentity): void {
    this.follow({ ...now, gateway: this.device.gateway });
  }

  adopt(child: LocalSession): void {
    this.#children ??= new Set();
    this.#children.add(child);
  }

  leave(child: LocalSession): void {
    this.#children?.delete(child);
  }

  async subscribe(what: "attributes" | "rpc", on: boolean, call: CallOptions): Promise<void> {
    if (this.#gateway === undefined) this.spend();
    if (what === "rpc") this.#rpc = on;
    else this.#attributes = on;
    await this.#owner().ask("renew", this.#record(), call);
  }

  heard(ts: number): void {
    this.#lastHeard = ts;
    if (this.#children !== undefined && this.device.refreshesChildren)
      for (const child of this.#children) child.heard(ts);
    if (ts - this.#lastReport >= reportMs) return this.#report();
    if (this.#owesReport) return;
    this.#owesReport = true;
    this.#options.reportLater(this);
  }

  report(): void {
    if (this.#owesReport) this.#report();
  }

  #report(): void {
    this.#owesReport = false;
    this.#lastReport = this.#lastHeard;
    this.#owner().tell("heard", { ts: this.#lastHeard, session: this.#record() });
  }

  /** A new owner of the device does not know this session yet. */
  followOwner(gained: ReadonlySet<number>): void {
    const { cluster } = this.#options;
    const owner = cluster.ownerOf(this.#key);
    if (owner === this.#ownedBy && !gained.has(cluster.partitionOf(this.#key))) return;
    this.#ownedBy = owner;
    if (owner !== undefined) this.#owner().tell("renew", this.#record());
  }

  /** A child is silent as long as its gateway has nothing to say of it: that is not idle. */
  endWhenIdle(now: number): void {
    if (this.#gateway === undefined && now - this.#lastHeard > this.#options.idleMs) this.end("idle");
  }

  end(reason: SessionEndReason, tell = true): void {
    if (this.#end.signal.aborted) return;
    this.#options.onEnd(this);
    this.#gateway?.leave(this);
    this.#end.abort({ reason } satisfies SessionEnd);
    // Without its record: the owner must not take an ended session for an open one.
    if (this.#owesReport && reason !== "deleted") this.#owner().tell("heard", { ts: this.#lastHeard });
    this.#owesReport = false;
    if (tell) this.#owner().tell("close", { session: this.id });
    for (const child of this.#children ?? []) child.end("gateway");
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
