import {
  type ActorKind,
  type Actors,
  type AttributeStore,
  type CallOptions,
  type Cluster,
  type DeviceEvent,
  type DeviceIdentity,
  type DeviceProof,
  type Downlinks,
  deviceLane,
  type EntityStore,
  type Lanes,
  type Log,
  type MemoryGate,
  rpcCollection,
  type Session,
  type SessionInfo,
  type Sessions,
  type Telemetry,
  type Uplinks,
  type World,
} from "@heddle/plugin-sdk";
import { ActiveDevices } from "./active-devices.ts";
import { deviceKind } from "./device-actor.ts";
import { DeviceCalls } from "./device-calls.ts";
import { DeviceSessions } from "./device-sessions.ts";
import { Identities } from "./identities.ts";
import type { DeviceVerbs } from "./verbs.ts";

interface Deps {
  readonly world: World;
  readonly log: Log;
  readonly memory: MemoryGate;
  readonly actors: Actors;
  readonly lanes: Lanes;
  readonly cluster: Cluster;
  readonly entities: EntityStore;
  readonly attributes: AttributeStore;
  readonly telemetry: Telemetry;
}

interface Config {
  readonly sessionsPerDevice: number;
  readonly sessionIdle: number;
  readonly inactivity: number;
  readonly stringLength: number;
}

/** The parts of this plugin, wired to each other; the door for transports. */
export class DeviceRoom implements Sessions {
  readonly #sessions: DeviceSessions;
  readonly calls: DeviceCalls;
  readonly kinds: readonly ActorKind<any>[];
  readonly #deps: Deps;
  readonly #device: ActorKind<DeviceVerbs>;
  readonly #closed = new AbortController();
  #identities: Identities | undefined;
  #active: ActiveDevices | undefined;
  #consumer: AsyncDisposable | undefined;
  #watch: Disposable | undefined;

  constructor(deps: Deps, config: Config) {
    this.#deps = deps;
    const identities = () => {
      this.#identities ??= new Identities(deps.entities);
      return this.#identities;
    };
    const device = () => this.#device;
    this.#sessions = new DeviceSessions({
      ...deps,
      identities,
      device,
      idleMs: config.sessionIdle,
      stringLength: config.stringLength,
    });
    this.calls = new DeviceCalls(deps, {
      sessions: this.#sessions,
      identities,
      device,
      signal: this.#closed.signal,
    });
    this.#device = deviceKind({
      ...deps,
      rpcs: () => deps.entities.collection(rpcCollection),
      sessionsPerDevice: config.sessionsPerDevice,
      inactivityMs: config.inactivity,
      identity: (deviceId, signal) => identities().byDevice(deviceId, { signal }),
      hub: (node) => deps.actors.at(node, this.#sessions.hub, "sessions"),
      forgetEverywhere: (deviceId) => this.#forgetEverywhere(deviceId),
      remember: (entry) => this.#active?.remember(entry),
    });
    this.kinds = [this.#device, this.#sessions.hub];
  }

  authenticate(by: DeviceProof, call: CallOptions): Promise<DeviceIdentity | undefined> {
    return this.#sessions.authenticate(by, call);
  }

  isBlocked(_address: string): boolean {
    return false;
  }

  identify(deviceId: string, call: CallOptions): Promise<DeviceIdentity | undefined> {
    return this.#sessions.identify(deviceId, call);
  }

  open(who: DeviceIdentity, about: SessionInfo, down: Downlinks, call: CallOptions): Promise<Session> {
    return this.#sessions.open(who, about, down, call);
  }

  visit(who: DeviceIdentity): Uplinks {
    return this.#sessions.visit(who);
  }

  async start(): Promise<void> {
    await this.#sessions.start();
    const { actors, cluster, lanes } = this.#deps;
    this.#active = new ActiveDevices(this.#deps, this.#device, this.#closed.signal);
    this.#watch = cluster.onChange(({ gained }) => {
      if (gained.length > 0) void this.#active?.wake(gained);
    });
    this.#consumer = lanes.consume(deviceLane, "devices", (key, body, turn) =>
      Promise.resolve(actors.ref(this.#device, key).ask("event", body as unknown as DeviceEvent, turn)),
    );
  }

  #forgetEverywhere(deviceId: string): void {
    for (const node of this.#deps.cluster.members) {
      this.#deps.actors.at(node, this.#sessions.hub, "sessions").tell("forget", { deviceId });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions.close();
    this.#watch?.[Symbol.dispose]();
    await this.#consumer?.[Symbol.asyncDispose]();
    this.#closed.abort();
  }
}
