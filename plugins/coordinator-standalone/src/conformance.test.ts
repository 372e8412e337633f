import { describeClusterCoordinator, describePlugin, realWorld } from "@heddle/plugin-sdk/testing";
import card from "./index.ts";
import { StandaloneCoordinator } from "./standalone-coordinator.ts";

describeClusterCoordinator("standalone coordinator", {
  create: async () => {
    const coordinator = new StandaloneCoordinator(realWorld());
    return { coordinators: [coordinator, coordinator, coordinator], [Symbol.asyncDispose]: async () => {} };
  },
  supports: { expiry: false, members: 3 },
});

describePlugin(card);
