import type {
  Accounts,
  ApiKeys,
  ApiUsage,
  Applications,
  AttributeStore,
  Claims,
  DeviceControl,
  DeviceRegistry,
  Directory,
  EntityQueries,
  EntityStore,
  Identity,
  Lanes,
  Lifecycle,
  Log,
  OtaPackages,
  Relations,
  Telemetry,
  TimeseriesStore,
  UserSettings,
  World,
} from "@heddle/plugin-sdk";

import type { Connectivity } from "./connect-commands.ts";

/** What operations are made of. */
export interface Services {
  readonly world: World;
  readonly log: Log;
  readonly lanes: Lanes;
  readonly entities: EntityStore;
  readonly attributes: AttributeStore;
  readonly series: TimeseriesStore;
  readonly telemetry: Telemetry;
  readonly identity: Identity;
  readonly accounts: Accounts;
  readonly apiKeys: ApiKeys;
  readonly directory: Directory;
  readonly registry: DeviceRegistry;
  readonly lifecycle: Lifecycle;
  readonly control: DeviceControl;
  readonly relations: Relations;
  readonly packages: OtaPackages;
  readonly claims: Claims;
  readonly settings: UserSettings;
  readonly connectivity: Connectivity;
  readonly usage: ApiUsage;
  readonly queries: EntityQueries;
  /** Absent in distributions without a broker. */
  readonly applications: Applications | undefined;
}
