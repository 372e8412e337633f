import {
  ActorKinds,
  Actors,
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
      inactivity: Duration({ default: "10m", description: "A device that is silent for so long counts as inactive." }),
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
    telemetry: Telemetry,
  },
  provides: [Sessions, DeviceControl, DeviceRegistry, EntityData, ActorKinds],
  faults,
  register({ container, config, deps }) {
    let made: DeviceRoom | undefined;
    const room = () => {
      made ??= new DeviceRoom(deps, config);
      return made;
    };
    provide(container, Sessions, room);
    provide(container, DeviceControl, () => room().calls);
    provide(container, ActorKinds, () => room().kinds);
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
