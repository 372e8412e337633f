import { type AggregateFn, Double, type Value } from "@heddle/plugin-sdk";
import { expect, it } from "vitest";
import { Aggregation } from "./aggregation.ts";

function one(fn: AggregateFn, ...values: Value[]): Value | undefined {
  const aggregation = new Aggregation("k", fn, [0, 1_000]);
  for (const [ts, value] of values.entries()) aggregation.add(ts, value);
  return aggregation.result()[0]?.value;
}

it("sums of longs stay exact beyond 2^53, and wrap as 64-bit longs do", () => {
  expect(one("SUM", Number.MAX_SAFE_INTEGER, 2)).toBe(9_007_199_254_740_993n);
  expect(one("SUM", Number.MAX_SAFE_INTEGER, 2, -2)).toBe(Number.MAX_SAFE_INTEGER);
  expect(one("SUM", 9_223_372_036_854_775_807n, 1)).toBe(-9_223_372_036_854_775_808n);
});

it("MIN and MAX compare big longs as such", () => {
  const [a, b] = [9_007_199_254_740_993n, 9_007_199_254_740_992n];
  expect([one("MIN", a, b), one("MAX", b, a)]).toEqual([b, a]);
});

it("T-07 a double makes the sum one", () => {
  expect([one("SUM", 1, 2), one("SUM", 1, 2.5), one("SUM", 1, new Double(2))]).toEqual([3, 3.5, new Double(3)]);
});

it("points of far windows close those between, which are left out", () => {
  const aggregation = new Aggregation("k", "COUNT", [0, 10, 20, 30, 41]);
  aggregation.add(5, 1);
  aggregation.add(40, 1);
  expect(aggregation.result()).toEqual([
    { key: "k", ts: 5, value: 1, count: 1 },
    { key: "k", ts: 35, value: 1, count: 1 },
  ]);
});
