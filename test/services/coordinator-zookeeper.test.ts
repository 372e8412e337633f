import { describeClusterCoordinator, describeNeeding } from "@heddle/plugin-sdk/testing";
import { Bench, sessionMs } from "./coordinator-zookeeper-bench.ts";
import { type Service, sharedService } from "./service.ts";

describeNeeding("zookeeper", sharedService("zookeeper")?.where, () => {
  const service = sharedService("zookeeper") as Service;

  describeClusterCoordinator("zookeeper coordinator", {
    create: async () => {
      const bench = new Bench(service);
      const nodes = await Promise.all([0, 1, 2].map(() => bench.proxied()));
      return {
        coordinators: nodes.map(({ coordinator }) => coordinator),
        isolate: async (index) => nodes[index]?.cut(),
        leaseMs: sessionMs + 1_000,
        [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
      };
    },
    supports: { expiry: true, members: 3 },
  });
});
