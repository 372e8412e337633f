import { describe, expect, it } from "vitest";
import { ClusterRun } from "./cluster-run.ts";

const seeds = Number(process.env["SIMULATION_SEEDS"] ?? 20);
const first = Number(process.env["SIMULATION_SEED"] ?? 1);
const count = process.env["SIMULATION_SEED"] === undefined ? seeds : 1;

async function attempt(seed: number, planted: object = {}): Promise<string | undefined> {
  try {
    await new ClusterRun({ seed, ...planted }).run();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A bug counts as found when any of the seeds breaks the named invariant. */
async function found(planted: object, invariant: RegExp): Promise<boolean> {
  for (let seed = 1; seed <= 60; seed++) if (invariant.test((await attempt(seed, planted)) ?? "")) return true;
  return false;
}

describe("a simulated cluster", () => {
  it(`keeps its invariants through crashes, stalls, cuts and restarts (${count} seeds)`, {
    timeout: Math.max(240_000, count * 1_500),
  }, async () => {
    let faults = 0;
    let published = 0;
    for (let seed = first; seed < first + count; seed++) {
      try {
        const result = await new ClusterRun({ seed }).run();
        faults += result.faults;
        published += result.published;
      } catch (error) {
        throw new Error(
          `seed ${seed}: ${(error as Error).message}\n  SIMULATION_SEED=${seed} npx vitest run test/simulation`,
        );
      }
    }
    // A run in which nothing happens proves nothing.
    expect(faults).toBeGreaterThan(count * 4);
    expect(published).toBeGreaterThan(count * 300);
  });

  it("repeats a seed to the event", async () => {
    const results = [await new ClusterRun({ seed: 7 }).run(), await new ClusterRun({ seed: 7 }).run()];
    expect(results[0]).toEqual(results[1]);
  });

  it("finds a hand-over without the drain barrier", { timeout: 120_000 }, async () => {
    expect(await found({ withoutBarrier: true }, /^two owners/)).toBe(true);
  });

  it("finds a node that acts on after its lease", { timeout: 120_000 }, async () => {
    expect(await found({ withoutLease: true }, /^two owners/)).toBe(true);
  });
});
