import { expect, it } from "vitest";
import { type Observed, takeovers, verdict } from "./verdict.ts";

const moved = (t: number, node: string, gained: number[], lost: number[] = []): Observed => {
  return { t, node, e: "moved", epoch: 1, gained, lost };
};
const handled = (t: number, node: string, n: number): Observed => ({
  t,
  node,
  e: "handled",
  key: "k",
  partition: 7,
  n,
});

it("finds duplicates, disorder and two owners, and nothing in a clean run", () => {
  const clean = [
    moved(1, "a", [7]),
    handled(2, "a", 0),
    moved(3, "a", [], [7]),
    moved(4, "b", [7]),
    handled(5, "b", 1),
  ];
  expect(verdict(clean)).toEqual({ duplicated: 0, outOfOrder: [], twoOwners: [] });
  expect(verdict([...clean, handled(6, "b", 0), handled(7, "b", 1)]).duplicated).toBe(2);
  expect(verdict([...clean, handled(6, "b", 3), handled(7, "b", 2)]).outOfOrder).toEqual(["k: 2 after 3"]);
  expect(verdict([...clean, handled(6, "a", 2)]).twoOwners).toEqual(["7: a handled 2, b owns it"]);
});

it("measures a take-over from the fault, and a hand-over from the moment the old owner let go", () => {
  expect(takeovers([moved(1, "a", [7, 8]), moved(50, "b", [7, 8])], 40)).toEqual([10, 10]);
  expect(takeovers([moved(1, "a", [7]), moved(48, "a", [], [7]), moved(50, "b", [7])], 40)).toEqual([2]);
  expect(takeovers([moved(1, "a", [7]), moved(50, "a", [7])], 40)).toEqual([]);
});
