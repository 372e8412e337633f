import { ClusterCoordinator, definePlugin, provide, Type, World } from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { StandaloneCoordinator } from "./standalone-coordinator.ts";

export default definePlugin({
  name: "@heddle/coordinator-standalone",
  sdk: "^1.0",
  summary: "Membership of the nodes of one machine: held in one process, no service beside it.",
  stability: "beta",
  oneProcess: true,
  config: Type.Object({}, { additionalProperties: false }),
  requires: { world: World },
  provides: [ClusterCoordinator],
  faults,
  register({ container, deps }) {
    provide(container, ClusterCoordinator, () => new StandaloneCoordinator(deps.world));
  },
});
