import type { Fault, LaneSpec } from "@heddle/plugin-sdk";
import { memoryQueue } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { quietLog } from "../testing/quiet-log.ts";
import { SimCoordinator } from "../testing/sim-coordinator.ts";
import { Simulation, SimWorld } from "../testing/sim-world.ts";
import { Kernel } from "./kernel.ts";

const lane: LaneSpec = { name: "work", retainMs: 60_000, retry: { attempts: 1, backoffMs: 1 }, exhausted: "skip" };

describe("a node", () => {
  it("refuses to serve data that were made with another number of partitions", async () => {
    const sim = new Simulation(5);
    const world = new SimWorld(sim);
    const queue = memoryQueue(world);
    const make = (partitions: number) => {
      const coordinator = new SimCoordinator(sim).client(world);
      const kernel = new Kernel({
        world,
        log: quietLog(),
        id: "a",
        roles: ["owner"],
        partitions,
        coordinator,
        queue: queue.client("a"),
        peer: undefined,
      });
      kernel.lanes.consume(lane, "g", () => {});
      return kernel;
    };
    const first = make(4);
    const served = first.serve([], new AbortController().signal);
    await sim.advance(2_000);
    await served;
    const stopped = first.stop();
    await sim.advance(2_000);
    await stopped;
    const refused = make(8)
      .serve([], new AbortController().signal)
      .catch((error: Fault) => error.code);
    await sim.advance(2_000);
    expect(await refused).toBe("queue.partitions");
  });
});
