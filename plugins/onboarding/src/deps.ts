import type {
  AttributeStore,
  DeviceRegistry,
  EntityStore,
  Lanes,
  Log,
  Relations,
  Sessions,
  Telemetry,
  World,
} from "@heddle/plugin-sdk";

export interface OnboardingDeps {
  readonly world: World;
  readonly log: Log;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
  readonly attributes: AttributeStore;
  readonly telemetry: Telemetry;
  readonly registry: DeviceRegistry;
  readonly relations: Relations;
  readonly sessions: Sessions;
}
