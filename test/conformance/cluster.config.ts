import services from "../services/vitest.config.ts";

/** All rows on three nodes: `npm run test:conformance-cluster`. Drivers of the services load only as that run has it. */
services.test.include = ["test/conformance/**/*.test.ts"];
services.test.env = { CONFORMANCE_TARGET: "cluster" };

export default services;
