import { describe, expect, it } from "vitest";
import { calendarBounds } from "./calendar.ts";

const range = { from: 1_696_544_000_000, to: 1_700_259_200_000 };
const text = (bounds: readonly number[]) => bounds.map((at) => new Date(at).toISOString().slice(0, 16));

describe("calendar windows (rest-semantics 8.8)", () => {
  it("begin at local midnight and are cut at the ends of the range", () => {
    expect(text(calendarBounds(range, "MONTH", "Europe/Kiev"))).toEqual([
      "2023-10-05T22:13",
      "2023-10-31T22:00",
      "2023-11-17T22:13",
    ]);
  });

  it("of weeks begin on Sunday, of ISO weeks on Monday", () => {
    const last = (type: "WEEK" | "WEEK_ISO") => text(calendarBounds(range, type, "UTC")).at(-2);
    expect(last("WEEK")).toBe("2023-11-12T00:00");
    expect(last("WEEK_ISO")).toBe("2023-11-13T00:00");
  });

  it("follow summer time", () => {
    const march = { from: Date.UTC(2024, 2, 20), to: Date.UTC(2024, 3, 10) };
    // Berlin changes to summer time on 31 March 2024.
    expect(text(calendarBounds(march, "WEEK_ISO", "Europe/Berlin"))).toEqual([
      "2024-03-20T00:00",
      "2024-03-24T23:00",
      "2024-03-31T22:00",
      "2024-04-07T22:00",
      "2024-04-10T00:00",
    ]);
  });

  it("of quarters begin in January, April, July and October; unknown zones count as UTC", () => {
    const year = { from: Date.UTC(2023, 10, 5), to: Date.UTC(2024, 6, 2) };
    expect(text(calendarBounds(year, "QUARTER", "Nope/Zone"))).toEqual([
      "2023-11-05T00:00",
      "2024-01-01T00:00",
      "2024-04-01T00:00",
      "2024-07-01T00:00",
      "2024-07-02T00:00",
    ]);
  });
});
