import { describe, expect, it } from "vitest";
import { murmur3 } from "./hash.ts";
import { assign } from "./ring.ts";

const nodes = (n: number) => Array.from({ length: n }, (_, i) => ({ id: `node-${i}`, weight: 1, roles: ["owner"] }));

describe("murmur3", () => {
  it("gives the published values", () => {
    expect(murmur3("")).toBe(0);
    expect(murmur3("test")).toBe(0xba6bd213);
    expect(murmur3("Hello, world!")).toBe(0xc0363e43);
  });
});

describe("assign", () => {
  it("gives the same owners for any order of members", () => {
    expect(assign(128, nodes(5))).toEqual(assign(128, nodes(5).reverse()));
  });

  it("moves at most 13 % of 256 partitions from 8 to 9 nodes and caps the load", () => {
    const before = assign(256, nodes(8));
    const after = assign(256, nodes(9));
    const moved = before.filter((owner, i) => owner !== after[i]).length;
    const loads = nodes(9).map(({ id }) => after.filter((owner) => owner === id).length);
    expect({ moved: moved / 256 <= 0.13, busiest: Math.max(...loads) <= Math.ceil((256 / 9) * 1.15) }).toEqual({
      moved: true,
      busiest: true,
    });
  });

  it("gives members without the owner role nothing", () => {
    const owners = assign(16, [...nodes(1), { id: "edge", weight: 1, roles: [] }]);
    expect(new Set(owners)).toEqual(new Set(["node-0"]));
    expect(assign(4, [])).toEqual([undefined, undefined, undefined, undefined]);
  });
});
