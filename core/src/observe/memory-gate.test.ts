import { expect, it } from "vitest";
import { quietLog } from "../../testing/quiet-log.ts";
import { Simulation, SimWorld } from "../../testing/sim-world.ts";
import { ResidentMemoryGate } from "./memory-gate.ts";

const never = new AbortController().signal;

function setUp() {
  const sim = new Simulation(1);
  const memory = { bytes: 100, garbage: 0, collections: 0 };
  const gate = new ResidentMemoryGate({
    world: new SimWorld(sim),
    log: quietLog(),
    limitBytes: 1_000,
    used: () => memory.bytes,
    collect: () => {
      memory.collections++;
      memory.bytes -= memory.garbage;
      memory.garbage = 0;
    },
  });
  return { sim, memory, gate };
}

it("stays open while collecting garbage makes room", async () => {
  const { sim, memory, gate } = setUp();
  Object.assign(memory, { bytes: 900, garbage: 500 });
  await sim.advance(150);
  expect({ open: gate.open, ...memory }).toEqual({ open: true, bytes: 400, garbage: 0, collections: 1 });
  expect(gate.closings).toBe(0);
});

it("closes near the limit, lets a trickle through in order, and everybody once there is room", async () => {
  const { sim, memory, gate } = setUp();
  memory.bytes = 900;
  await sim.advance(150);
  expect(gate.open).toBe(false);
  const entered: number[] = [];
  for (let i = 0; i < 100; i++) void gate.whenOpen(never).then(() => entered.push(i));
  await sim.advance(100);
  expect(entered).toEqual(Array.from({ length: 16 }, (_, i) => i));
  memory.bytes = 720;
  await sim.advance(100);
  expect(entered).toHaveLength(32);
  memory.bytes = 600;
  await sim.advance(100);
  expect(entered).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(gate.open).toBe(true);
  expect(gate.closings).toBe(1);
});

it("collects at most once a second while closed", async () => {
  const { sim, memory } = setUp();
  memory.bytes = 950;
  await sim.advance(3_050);
  expect(memory.collections).toBe(3);
});

it("who gives up waiting leaves, and nobody waits behind a gate that is gone", async () => {
  const { sim, memory, gate } = setUp();
  memory.bytes = 999;
  await sim.advance(150);
  const stop = new AbortController();
  const refused = expect(gate.whenOpen(stop.signal)).rejects.toThrow("enough");
  stop.abort(new Error("enough"));
  await refused;
  expect(gate.waiting).toBe(0);
  const passed = gate.whenOpen(never);
  gate[Symbol.dispose]();
  await passed;
  expect(gate.open).toBe(true);
});
