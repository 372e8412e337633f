import { describeWithServices } from "./cluster/needs.ts";

// Two suites of the device API whose rows cross nodes most: calls, and devices behind gateways. All of them:
// `npm run test:conformance-cluster`.
describeWithServices(async () => {
  process.env["CONFORMANCE_TARGET"] = "cluster";
  await import("../conformance/rpc.test.ts");
  await import("../conformance/gateway.test.ts");
});
