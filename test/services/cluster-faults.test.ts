import { expect, it } from "vitest";
import { faultRun, table } from "./cluster/fault-run.ts";
import { faultCases } from "./cluster/faults.ts";
import { describeWithServices } from "./cluster/needs.ts";

describeWithServices((services) => {
  it("three nodes under load lose nothing, keep the order and never share a partition, whatever happens", async () => {
    const report = await faultRun(services, { cases: faultCases, rounds: 1 }, (line) => console.log(line));
    console.log(table(report));
    const { lost, outOfOrder, twoOwners, acknowledged } = report;
    expect({ lost, outOfOrder, twoOwners }).toEqual({ lost: [], outOfOrder: [], twoOwners: [] });
    expect(acknowledged).toBeGreaterThan(1_000);
  }, 900_000);
});
