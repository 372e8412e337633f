import { describeWithServices } from "./cluster/needs.ts";

// Calls, whose rows cross nodes most. All rows: `npm run test:conformance-cluster`.
describeWithServices(async () => {
  process.env["CONFORMANCE_TARGET"] = "cluster";
  await import("../conformance/rpc.test.ts");
});
