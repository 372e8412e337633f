import {
  ActorKinds,
  Actors,
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
      claiming: Type.Object(
        {
          allowByDefault: Type.Boolean({
            default: true,
            description:
              "Every device may be claimed; otherwise those whose server attribute `claimingAllowed` is true.",
          }),
          duration: Duration({ default: "1d", description: "How long an offer holds when the device does not say." }),
        },
        { additionalProperties: false, default: {}, description: "Devices that users take over." },
      ),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    actors: Actors,
    lanes: Lanes,
    entities: EntityStore,
    attributes: AttributeStore,
    telemetry: Telemetry,
    registry: DeviceRegistry,
    relations: Relations,
    sessions: Sessions,
  },
  provides: [Onboarding, Claims, EntityData, ActorKinds],
  faults,
  register({ container, config, deps }) {
    let made: Claiming | undefined;
    const claiming = () => {
      made ??= new Claiming(deps, config.claiming);
      return made;
    };
    let opened: OnboardingRoom | undefined;
    const room = () => {
      opened ??= new OnboardingRoom(deps, claiming);
      return opened;
    };
    provide(container, Onboarding, room);
    provide(container, ActorKinds, () => room().kinds);
    provide(container, Claims, claiming);
    provide(container, EntityData, claiming);
  },
});
