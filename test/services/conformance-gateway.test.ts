import { describeWithServices } from "./cluster/needs.ts";

// Devices behind gateways, whose rows cross nodes most. All rows: `npm run test:conformance-cluster`.
describeWithServices(async () => {
  process.env["CONFORMANCE_TARGET"] = "cluster";
  await import("../conformance/gateway.test.ts");
});
