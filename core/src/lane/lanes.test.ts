import { Fault, type LaneSpec } from "@heddle/plugin-sdk";
import { memoryQueue } from "@heddle/plugin-sdk/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { quietLog } from "../../testing/quiet-log.ts";
import { SimCoordinator } from "../../testing/sim-coordinator.ts";
import { Simulation, SimWorld } from "../../testing/sim-world.ts";
import { Kernel } from "../kernel.ts";

const never = new AbortController().signal;
const lane: LaneSpec = {
  name: "work",
  retainMs: 60_000,
  retry: { attempts: 3, backoffMs: 100 },
  exhausted: "deadLetter",
};
let sim: Simulation;
let world: SimWorld;
let kernel: Kernel;

beforeEach(async () => {
  sim = new Simulation(3);
  world = new SimWorld(sim);
  const coordinator = new SimCoordinator(sim).client(world);
  const queue = memoryQueue(world).client("a");
  kernel = new Kernel({
    world,
    log: quietLog(),
    id: "a",
    roles: ["owner"],
    partitions: 4,
    coordinator,
    queue,
    peer: undefined,
  });
  const served = kernel.serve([], never);
  await sim.advance(1_000);
  await served;
});

const publish = async (spec: LaneSpec, key: string, ...bodies: number[]) => {
  const done = Promise.all(bodies.map((body) => kernel.lanes.publish(spec, key, body, { signal: never })));
  await sim.advance(50);
  await done;
};

describe("a lane", () => {
  it("shares one promise among what is published together", async () => {
    await publish(lane, "k", 0);
    const first = kernel.lanes.publish(lane, "k", 1, { signal: never });
    expect(kernel.lanes.publish(lane, "other", 2, { signal: never })).toBe(first);
    await sim.advance(50);
    await first;
  });

  it("handles records of a key one after the other, and keys beside each other", async () => {
    const seen: string[] = [];
    kernel.lanes.consume(lane, "g", async (key, body) => {
      seen.push(`${key}${String(body)} begins`);
      await world.sleep(100, never);
      seen.push(`${key}${String(body)} ends`);
    });
    await publish(lane, "a", 1, 2);
    await publish(lane, "b", 1);
    await sim.advance(1_000);
    const of = (key: string) => seen.filter((line) => line.startsWith(key));
    expect(of("a")).toEqual(["a1 begins", "a1 ends", "a2 begins", "a2 ends"]);
    expect(of("b")).toEqual(["b1 begins", "b1 ends"]);
  });

  it("starts records of a key in order, several at once, where the lane says so", async () => {
    const begun: unknown[] = [];
    kernel.lanes.consume({ ...lane, name: "wide", pipeline: 3 }, "g", async (_key, body) => {
      begun.push(body);
      await world.sleep(1_000, never);
    });
    await publish({ ...lane, name: "wide" }, "a", 1, 2, 3, 4);
    await sim.advance(500);
    expect(begun).toEqual([1, 2, 3]);
    await sim.advance(1_000);
    expect(begun).toEqual([1, 2, 3, 4]);
  });

  it("repeats with back-off, then hands the record to the dead letters", async () => {
    const tried: number[] = [];
    const dead: unknown[] = [];
    kernel.lanes.consume(lane, "g", (_key, _body, { attempt }) => {
      tried.push(attempt);
      throw new Error("broken");
    });
    kernel.lanes.consume({ ...lane, name: "work-dead" }, "g", (_key, body) => void dead.push(body));
    await publish(lane, "a", 7);
    await sim.advance(5_000);
    expect({ tried, dead }).toEqual({ tried: [1, 2, 3], dead: [7] });
  });

  it("does not repeat what is invalid", async () => {
    let tried = 0;
    kernel.lanes.consume(lane, "g", () => {
      tried++;
      throw new Fault("invalid", "test.bad", "bad");
    });
    await publish(lane, "a", 1);
    await sim.advance(5_000);
    expect(tried).toBe(1);
  });

  it("waits, however long, for what is unavailable, and loses nothing", async () => {
    let down = true;
    const done: unknown[] = [];
    kernel.lanes.consume(lane, "g", (_key, body) => {
      if (down) throw new Fault("unavailable", "test.down", "down");
      done.push(body);
    });
    await publish(lane, "a", 1, 2);
    await sim.advance(120_000);
    expect(done).toEqual([]);
    down = false;
    await sim.advance(20_000);
    expect(done).toEqual([1, 2]);
  });

  it("passes a record to its handlers at once, stores nothing, and tells what they threw", async () => {
    const seen: unknown[] = [];
    const handle = (key: string, body: unknown) => {
      if (body === "bad") throw new Fault("invalid", "test.bad", "bad");
      seen.push([key, body]);
    };
    const consuming = kernel.lanes.consume(lane, "g", handle);
    await publish(lane, "k", 1);
    seen.length = 0;
    const call = { signal: never };
    await kernel.lanes.pass(lane, "k", "now", call);
    expect(seen).toEqual([["k", "now"]]);
    await expect(kernel.lanes.pass(lane, "k", "bad", call)).rejects.toMatchObject({ code: "test.bad" });
    await consuming[Symbol.asyncDispose]();
    await expect(kernel.lanes.pass(lane, "k", "lost", call)).rejects.toMatchObject({ code: "lane.unheard" });
    kernel.lanes.consume(lane, "g2", handle);
    await sim.advance(1_000);
    expect(seen.filter((one) => (one as unknown[])[1] !== 1)).toEqual([["k", "now"]]);
  });

  it("ends what runs before it gives a partition up, and starts nothing more", async () => {
    const seen: unknown[] = [];
    kernel.lanes.consume(lane, "g", async (_key, body) => {
      await world.sleep(300, never);
      seen.push(body);
    });
    await publish(lane, "a", 1, 2);
    const stopped = kernel.stop();
    await sim.advance(2_000);
    await stopped;
    expect(seen).toEqual([1]);
  });
});
