import {
  AttributeStore,
  Claims,
  DeviceRegistry,
  Duration,
  definePlugin,
  EntityData,
  EntityStore,
  Lanes,
  Log,
  Onboarding,
  provide,
  Relations,
  Sessions,
  Telemetry,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { Claiming } from "./claiming.ts";
import { faults } from "./faults.ts";
import { OnboardingRoom } from "./onboarding-room.ts";

export default definePlugin({
  name: "@heddle/onboarding",
  sdk: "^1.0",
  summary: "How devices come to be: provisioning, claiming, children of gateways.",
  stability: "beta",
  config: Type.Object(
    {
      claimByDefault: Type.Boolean({
        default: true,
        description: "Devices may be claimed unless their server attribute `claimingAllowed` says otherwise.",
      }),
      claimFor: Duration({ default: "1d", description: "How long a device may be claimed when it does not say." }),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    lanes: Lanes,
    entities: EntityStore,
    attributes: AttributeStore,
    telemetry: Telemetry,
    registry: DeviceRegistry,
    relations: Relations,
    sessions: Sessions,
  },
  provides: [Onboarding, Claims, EntityData],
  faults,
  register({ container, config, deps }) {
    let made: Claiming | undefined;
    const claiming = () => {
      made ??= new Claiming(deps, config);
      return made;
    };
    provide(container, Onboarding, () => new OnboardingRoom(deps, claiming()));
    provide(container, Claims, claiming);
    provide(container, EntityData, claiming);
  },
});
