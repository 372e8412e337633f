import {
  Accounts,
  DeviceRegistry,
  Directory,
  definePlugin,
  EntityData,
  EntityStore,
  Lanes,
  LaunchOptions,
  Lifecycle,
  Log,
  provide,
  ReadyNotes,
  Rules,
  Telemetry,
  Type,
} from "@heddle/plugin-sdk";
import { EntityLifecycle } from "./entity-lifecycle.ts";
import { bringSampleData } from "./sample-data.ts";

export default definePlugin({
  name: "@heddle/lifecycle",
  sdk: "^1.0",
  summary: "Beginning and end of tenants and what belongs to them; sample data.",
  stability: "beta",
  config: Type.Object({}, { additionalProperties: false }),
  requires: {
    log: Log,
    lanes: Lanes,
    entities: EntityStore,
    telemetry: Telemetry,
    rules: Rules,
    directory: Directory,
    registry: DeviceRegistry,
    data: EntityData,
    accounts: Accounts,
    launch: LaunchOptions,
    notes: ReadyNotes,
  },
  provides: [Lifecycle],
  register({ container, deps }) {
    provide(container, Lifecycle, () => new EntityLifecycle(deps));
  },
  async start({ container, deps, signal }) {
    if (!deps.launch.demo) return;
    const lifecycle = container.resolve<Lifecycle>(Lifecycle.token);
    await bringSampleData({ ...deps, lifecycle }, { signal });
  },
});
