import { ClusterCoordinator, definePlugin, provide, Type, World } from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { StandaloneCoordinator } from "./standalone-coordinator.ts";

export default definePlugin({
  name: "@heddle/coordinator-standalone",
  sdk: "^1.0",
  summary: "Membership of a node that is alone: it is the only member and never lost.",
  stability: "beta",
  config: Type.Object({}, { additionalProperties: false }),
  requires: { world: World },
  provides: [ClusterCoordinator],
  faults,
  register({ container, deps }) {
    provide(container, ClusterCoordinator, () => new StandaloneCoordinator(deps.world));
  },
});
