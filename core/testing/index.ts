export { Kernel } from "../src/kernel.ts";
export { SystemWorld } from "../src/world/system-world.ts";
export { type Offered, OverSocket } from "./over-socket.ts";
export { quietLog } from "./quiet-log.ts";
export { SimCoordinator, sessionMs } from "./sim-coordinator.ts";
export { SimNetwork } from "./sim-network.ts";
export { Simulation, SimWorld } from "./sim-world.ts";
export { ViewStream } from "./view-stream.ts";
