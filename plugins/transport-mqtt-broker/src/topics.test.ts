import { describe, expect, it } from "vitest";
import { badFilter, covers, devicesOf, filterWithin, topicWithin } from "./topics.ts";

describe("topics of a tenant's space", () => {
  it.each([
    ["#", "a/b", true],
    ["#", "#", true],
    ["a/#", "a", true],
    ["a/#", "a/+/c", true],
    ["a/+", "a/b", true],
    ["a/+", "a/+", true],
    ["a/+", "a/#", false],
    ["a/+", "a/b/c", false],
    ["a/+/c", "a/b", false],
    ["a/b", "a/+", false],
    ["a/b", "a/b", true],
    ["+/b", "a/b", true],
    ["+", "#", false],
    ["a", "a/b", false],
  ])("%s covers %s: %s", (allowed, wanted, covered) => {
    expect(covers(allowed, wanted)).toBe(covered);
  });

  it.each([
    ["#", "#"],
    ["+/t1/a", "a"],
    ["tenant/+/a/#", "a/#"],
    ["tenant/#", "#"],
    ["tenant/t1/+", "+"],
    ["tenant/t1", undefined],
    ["tenant/t2/a", undefined],
    ["other/t1/a", undefined],
  ])("filter %s matches %s within", (filter, inner) => {
    expect(filterWithin("t1", filter)).toBe(inner);
  });

  it("a topic lies within or it does not", () => {
    expect(topicWithin("t1", "tenant/t1/a/b")).toBe("a/b");
    for (const topic of ["tenant/t1/", "tenant/t1", "tenant/t10/a", "a"])
      expect(topicWithin("t1", topic)).toBeUndefined();
  });

  it.each([
    ["#", { device: "all", what: ["telemetry", "attributes", "event"] }],
    ["device/#", { device: "all", what: ["telemetry", "attributes", "event"] }],
    ["device/+/event", { device: "all", what: ["event"] }],
    ["device/d1/#", { device: "d1", what: ["telemetry", "attributes", "event"] }],
    ["device/d1/telemetry/#", { device: "d1", what: ["telemetry"] }],
    ["+/d1/attributes", { device: "d1", what: ["attributes"] }],
    ["device/d1", undefined],
    ["device/d1/other", undefined],
    ["device/d1/telemetry/more", undefined],
    ["line/#", undefined],
  ])("%s asks for %o", (filter, wanted) => {
    expect(devicesOf(filter)).toEqual(wanted);
  });

  it("names what is wrong with a filter", () => {
    expect(badFilter("a/+/b/#")).toBeUndefined();
    for (const filter of ["", "a/#/b", "a#", "a+/b", "$SYS/x", "x".repeat(1_025), "a/".repeat(40)])
      expect(badFilter(filter)).toBeTypeOf("string");
  });
});
