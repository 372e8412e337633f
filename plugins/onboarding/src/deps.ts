import type {
  Actors,
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
  readonly actors: Actors;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
  readonly attributes: AttributeStore;
  readonly telemetry: Telemetry;
  readonly registry: DeviceRegistry;
  readonly relations: Relations;
  readonly sessions: Sessions;
}

export const serverScope = "SERVER_SCOPE" as const;
export const deviceEntity = (id: string) => ({ entityType: "DEVICE", id });
