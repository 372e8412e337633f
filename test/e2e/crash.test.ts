import { describe, expect, it } from "vitest";
import { crashRun } from "./crash-run.ts";

const rounds = Number(process.env["CRASH_ROUNDS"] ?? 2);

describe("kill -9 under load", () => {
  it(`loses nothing that was acknowledged to real MQTT clients (${rounds} rounds)`, {
    timeout: 60_000 + rounds * 10_000,
  }, async () => {
    const report = await crashRun(rounds);
    expect(report.missing).toEqual([]);
    // Without load there is nothing to lose.
    expect(report.acknowledged).toBeGreaterThan(rounds * 200);
  });
});
