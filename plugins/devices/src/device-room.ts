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
  entityKey,
  type Lanes,
  type Log,
  type MemoryGate,
  type Metric,
  type Origin,
  type RpcDocument,
  rpcCollection,
  type Session,
  type SessionInfo,
  type Sessions,
  type Telemetry,
  type TimeseriesStore,
  type Uplinks,
  type World,
} from "@heddle/plugin-sdk";
import { ActiveDevices } from "./active-devices.ts";
import { deviceKind } from "./device-actor.ts";
import { DeviceCalls } from "./device-calls.ts";
import { DeviceSessions } from "./device-sessions.ts";
import { Identities } from "./identities.ts";
import { Tenants } from "./limits/tenants.ts";
import type { RpcConfig } from "./pending-rpc.ts";
import { openStatuses } from "./rpc-records.ts";
import { Strangers, type StrangersConfig } from "./strangers.ts";
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
  readonly series: TimeseriesStore;
  readonly telemetry: Telemetry;
}

interface Config extends StrangersConfig {
  readonly sessionsPerDevice: number;
  readonly sessionIdle: number;
  readonly inactivity: number;
  readonly clientRpcTimeout: number;
  readonly stringLength: number;
  readonly rpc: RpcConfig;
  readonly activityAsSeries: boolean;
}

interface Metrics {
  readonly limited: Metric;
  readonly wrongCredentials: Metric;
}

/** The parts of this plugin, wired to each other; the door for transports. */
export class DeviceRoom implements Sessions {
  readonly #sessions: DeviceSessions;
  readonly calls: DeviceCalls;
  readonly tenants: Tenants;
  readonly kinds: readonly ActorKind<any>[];
  readonly #deps: Deps;
  readonly #device: ActorKind<DeviceVerbs>;
  readonly #closed = new AbortController();
  #identities: Identities | undefined;
  #active: ActiveDevices | undefined;
  #consumer: AsyncDisposable | undefined;
  #watch: Disposable | undefined;

  constructor(deps: Deps, config: Config, metrics: Metrics) {
    this.#deps = deps;
    this.tenants = new Tenants(deps, this.#closed.signal);
    const identities = () => {
      this.#identities ??= new Identities(deps.entities);
      return this.#identities;
    };
    const device = () => this.#device;
    this.#sessions = new DeviceSessions({
      ...deps,
      identities,
      device,
      tenants: this.tenants,
      strangers: new Strangers(deps.world, config, (transport) => metrics.wrongCredentials.record(1, { transport })),
      limited: (whose, kind) => metrics.limited.record(1, { whose, kind }),
      idleMs: config.sessionIdle,
      clientRpcMs: config.clientRpcTimeout,
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
      rpc: config.rpc,
      activityAsSeries: config.activityAsSeries,
      identity: (deviceId, signal) => identities().byDevice(deviceId, { signal }),
      hub: (node) => deps.actors.at(node, this.#sessions.hub, "sessions"),
      forgetEverywhere: (deviceId) => this.#forgetEverywhere(deviceId),
      remember: (entry) => this.#active?.remember(entry),
    });
    this.kinds = [this.#device, this.#sessions.hub];
  }

  authenticate(by: DeviceProof, call: CallOptions & { readonly from?: Origin }): Promise<DeviceIdentity | undefined> {
    return this.#sessions.authenticate(by, call);
  }

  isBlocked(address: string): boolean {
    return this.#sessions.isBlocked(address);
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
    this.tenants.watch();
    const { actors, cluster, lanes } = this.#deps;
    this.#active = new ActiveDevices(this.#deps, this.#device, this.#closed.signal);
    this.#watch = cluster.onChange(({ gained }) => {
      if (gained.length === 0) return;
      void this.#active?.wake(gained);
      void this.#wakeCalled(new Set(gained));
    });
    this.#consumer = lanes.consume(deviceLane, "devices", (key, body, turn) =>
      Promise.resolve(actors.ref(this.#device, key).ask("event", body as unknown as DeviceEvent, turn)),
    );
  }

  /** Calls of a former owner expire, or go out, although nothing is heard of their devices. */
  async #wakeCalled(partitions: ReadonlySet<number>): Promise<void> {
    const { entities, cluster, actors, log } = this.#deps;
    const rpcs = entities.collection(rpcCollection);
    try {
      for (let page = 0; ; page++) {
        const where = { status: { in: openStatuses } };
        const query = { where, sort: { by: "id", order: "asc" as const }, limit: pageSize, page };
        const { items, total } = await rpcs.find(query, { signal: this.#closed.signal });
        const keys = new Set(items.map(({ value }) => deviceKey(value)));
        for (const key of keys) {
          if (partitions.has(cluster.partitionOf(key))) actors.ref(this.#device, key).tell("wake", null);
        }
        if ((page + 1) * pageSize >= total) return;
      }
    } catch (error) {
      if (!this.#closed.signal.aborted) log.warn("devices with open calls not woken", { error });
    }
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
    await this.tenants.close();
  }
}

const pageSize = 500;
const deviceKey = ({ tenantId, deviceId }: RpcDocument) => entityKey(tenantId, { entityType: "DEVICE", id: deviceId });
