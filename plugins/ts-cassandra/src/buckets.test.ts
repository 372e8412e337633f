import { describe, expect, it } from "vitest";
import { bucketEnd, bucketOf, bucketSizes } from "./buckets.ts";

describe("buckets", () => {
  const ts = Date.UTC(2024, 2, 15, 10, 17, 33, 5);

  it("T-18 MONTHS: 2024-03-15T10:00Z lies in 1709251200000", () => {
    expect(bucketOf(Date.UTC(2024, 2, 15, 10), "MONTHS")).toBe(1_709_251_200_000);
  });

  it("begin with their period in UTC", () => {
    expect(bucketSizes.map((size) => bucketOf(ts, size))).toEqual([
      Date.UTC(2024, 2, 15, 10, 17),
      Date.UTC(2024, 2, 15, 10),
      Date.UTC(2024, 2, 15),
      Date.UTC(2024, 2),
      Date.UTC(2024, 0),
      0,
    ]);
  });

  it("never decrease with time, and hold their times, to the ends of time", () => {
    const times = [
      Number.MIN_SAFE_INTEGER,
      -8.64e15,
      -62_135_596_800_001,
      -62_000_000_000_000,
      -60_000_000_000_000,
      -59_000_000_000_000,
      -1,
      0,
      1,
      ts,
      8.64e15,
      Number.MAX_SAFE_INTEGER,
    ];
    for (const size of bucketSizes) {
      const buckets = times.map((time) => bucketOf(time, size));
      expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
      for (const time of times.slice(1, -1)) {
        const bucket = bucketOf(time, size);
        expect(size === "INDEFINITE" || bucket <= time).toBe(true);
        expect(bucketEnd(bucket, size)).toBeGreaterThan(Math.min(time, 8.64e15 - 1));
        expect(Number.isSafeInteger(bucket)).toBe(true);
      }
    }
  });
});
