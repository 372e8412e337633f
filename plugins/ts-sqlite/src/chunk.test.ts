import { describe, expect, it } from "vitest";
import { decodeChunk, encodeChunk } from "./chunk.ts";
import { kind, type Points, sorted } from "./points.ts";

const numbers = (code: number, values: number[], step = 1000): Points => ({
  ts: values.map((_, at) => 1_700_000_000_000 + at * step + ((at * 7919) % 40)),
  kinds: values.map(() => code),
  values,
});
const same = (points: Points) => expect(decodeChunk(encodeChunk(points))).toStrictEqual(points);
const many = Array.from({ length: 256 }, (_, at) => at);

describe("chunks", () => {
  it.each([
    ["small longs", kind.long, many],
    [
      "longs at the edge of exactness",
      kind.long,
      [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0, 2 ** 50, -(2 ** 50)],
    ],
    ["longs beyond it", kind.long, [1e300, 2 ** 63, -0, 5]],
    ["decimals", kind.double, many.map((at) => (2000 + ((at * 31) % 900)) / 100)],
    ["integral doubles", kind.double, [25, 26, -27]],
    ["doubles with every digit", kind.double, many.map((at) => Math.sin(at))],
    ["doubles that are no numbers", kind.double, [Number.NaN, Number.POSITIVE_INFINITY, -0, Number.MIN_VALUE]],
    ["booleans", kind.boolean, many.map((at) => at % 2)],
    ["one point", kind.double, [0.1]],
  ])("keep %s", (_, code, values) => same(numbers(code, values)));

  it("keep texts and mixed kinds", () => {
    same({
      ts: [1, 2, 3],
      kinds: [kind.string, kind.json, kind.bigLong],
      values: ["ü😀", '{"a":1.0}', "9223372036854775807"],
    });
    same({ ts: [-9, 0, 4, 9], kinds: [kind.long, kind.string, kind.long, kind.double], values: [1, "", 3, 4] });
    same({ ts: many, kinds: many.map(() => kind.string), values: many.map((at) => `state ${at % 3}`) });
  });

  it("keep the times at the ends of what is allowed", () => {
    const ts = [Number.MIN_SAFE_INTEGER, -(2 ** 49), -1, 0, 2 ** 49, Number.MAX_SAFE_INTEGER];
    same({ ts, kinds: ts.map(() => kind.long), values: ts.map(() => 1) });
  });

  it("are small: a jittering sensor with two decimals takes at most 6 bytes a point", () => {
    expect(
      encodeChunk(
        numbers(
          kind.double,
          many.map((at) => (2000 + ((at * 31) % 900)) / 100),
        ),
      ).length / 256,
    ).toBeLessThan(6);
  });

  it("sort points by time and keep the last of equal ones", () => {
    const { ts, values } = sorted({ ts: [3, 1, 3, 2, 1], kinds: [2, 2, 2, 2, 2], values: [30, 10, 31, 20, 11] });
    expect([ts, values]).toEqual([
      [1, 2, 3],
      [11, 20, 31],
    ]);
  });
});
