import {
  ActorKinds,
  Actors,
  ApiUsage,
  AttributeStore,
  Cluster,
  DeviceControl,
  DeviceRegistry,
  Duration,
  definePlugin,
  EntityData,
  EntityStore,
  Lanes,
  Log,
  MemoryGate,
  provide,
  Sessions,
  Telemetry,
  TimeseriesStore,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { DeviceRoom } from "./device-room.ts";
import { faults } from "./faults.ts";
import { DeviceData } from "./registry/device-data.ts";
import { StoredDevices } from "./registry/device-registry.ts";

export default definePlugin({
  name: "@heddle/devices",
  sdk: "^1.0",
  summary: "Devices: sessions, one actor per device, server-side RPC and activity.",
  stability: "beta",
  config: Type.Object(
    {
      sessionsPerDevice: Type.Integer({
        default: 1,
        minimum: 1,
        description: "Connections of one device at once; the newest stay.",
      }),
      sessionIdle: Duration({ default: "10m", description: "A session that is silent for so long is closed." }),
      clientRpcTimeout: Duration({ default: "60s", description: "A device's own call gets its answer by then." }),
      inactivity: Duration({ default: "10m", description: "A device that is silent for so long counts as inactive." }),
      activityAsSeries: Type.Boolean({
        default: false,
        description: "Activity is kept as time series in place of server attributes.",
      }),
      rpc: Type.Object(
        {
          strategy: Type.Union(
            [
              Type.Literal("BURST"),
              Type.Literal("SEQUENTIAL_ON_ACK_FROM_DEVICE"),
              Type.Literal("SEQUENTIAL_ON_RESPONSE_FROM_DEVICE"),
            ],
            {
              default: "BURST",
              description: "When the next of several calls goes out: at once, confirmed, or answered.",
            },
          ),
          responseTimeout: Duration({
            default: "30s",
            description: "For the answer to a delivered call, where the next one waits for it.",
          }),
          closeOnTimeout: Type.Boolean({
            default: false,
            description: "Disconnect a device that confirms no call, and let the call wait for it.",
          }),
        },
        { additionalProperties: false, default: {}, description: "Calls from the platform to devices." },
      ),
      blockAfter: Type.Integer({
        default: 0,
        minimum: 0,
        description: "Wrong credentials after which an address is refused unheard; 0 is never.",
      }),
      blockFor: Duration({ default: "60s", description: "For how long." }),
      stringLength: Type.Integer({
        default: 0,
        minimum: 0,
        description: "Longest text value a device may send; 0 is unlimited.",
      }),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    memory: MemoryGate,
    actors: Actors,
    lanes: Lanes,
    cluster: Cluster,
    entities: EntityStore,
    attributes: AttributeStore,
    series: TimeseriesStore,
    telemetry: Telemetry,
  },
  provides: [Sessions, DeviceControl, DeviceRegistry, EntityData, ActorKinds, ApiUsage],
  metrics: {
    limited: {
      kind: "counter",
      unit: "messages",
      help: "Refused by a limit of the tenant's profile.",
      labels: ["whose", "kind"],
    },
    wrongCredentials: { kind: "counter", unit: "proofs", help: "Wrong credentials shown.", labels: ["transport"] },
  },
  faults,
  register({ container, config, deps, metrics }) {
    let made: DeviceRoom | undefined;
    const room = () => {
      made ??= new DeviceRoom(deps, config, metrics);
      return made;
    };
    provide(container, Sessions, room);
    provide(container, DeviceControl, () => room().calls);
    provide(container, ActorKinds, () => room().kinds);
    provide(container, ApiUsage, () => room().tenants);
    let devices: StoredDevices | undefined;
    const registryDeps = () => ({ ...deps, control: () => room().calls });
    const registry = () => {
      devices ??= new StoredDevices(registryDeps());
      return devices;
    };
    provide(container, DeviceRegistry, registry);
    provide(container, EntityData, () => new DeviceData(registryDeps(), registry()));
  },
});
