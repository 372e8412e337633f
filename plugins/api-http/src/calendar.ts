export type IntervalType = "WEEK" | "WEEK_ISO" | "MONTH" | "QUARTER";

interface LocalDay {
  readonly year: number;
  /** From 0. */
  readonly month: number;
  readonly day: number;
}

const dayMs = 86_400_000;

/** Local time of a zone; an unknown zone counts as UTC, as the reference has it. */
class Zone {
  readonly #format: Intl.DateTimeFormat | undefined;

  constructor(name: string | undefined) {
    try {
      this.#format = new Intl.DateTimeFormat("en-US", {
        timeZone: name ?? "UTC",
        hourCycle: "h23",
        year: "numeric",
        month: "numeric",
        day: "numeric",
        hour: "numeric",
        minute: "numeric",
        second: "numeric",
      });
    } catch {
      // A name that no zone has.
      this.#format = undefined;
    }
  }

  /** The zone's wall clock at that time, as if it were UTC. */
  wallClock(ts: number): number {
    if (this.#format === undefined) return ts;
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(ts)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second);
  }

  /** When a local day begins. */
  midnight({ year, month, day }: LocalDay): number {
    const wall = Date.UTC(year, month, day);
    const guess = wall - (this.wallClock(wall) - wall);
    return wall - (this.wallClock(guess) - guess);
  }
}

/** Edges of calendar windows in a range, its own ends included: the first and last window are cut (rest-semantics 8.8). */
export function calendarBounds(
  range: { readonly from: number; readonly to: number },
  type: IntervalType,
  timeZone: string | undefined,
): number[] {
  const zone = new Zone(timeZone);
  const bounds = [range.from];
  const first = windowStart(new Date(zone.wallClock(range.from)), type);
  for (let step = 1; ; step++) {
    const at = zone.midnight(following(first, type, step));
    if (at >= range.to) break;
    if (at > range.from) bounds.push(at);
  }
  bounds.push(range.to);
  return bounds;
}

function windowStart(wall: Date, type: IntervalType): LocalDay {
  const year = wall.getUTCFullYear();
  const month = wall.getUTCMonth();
  if (type === "MONTH") return { year, month, day: 1 };
  if (type === "QUARTER") return { year, month: month - (month % 3), day: 1 };
  const sinceStart = type === "WEEK" ? wall.getUTCDay() : (wall.getUTCDay() + 6) % 7;
  return { year, month, day: wall.getUTCDate() - sinceStart };
}

/** Months and days beyond their range carry over. */
function following({ year, month, day }: LocalDay, type: IntervalType, steps: number): LocalDay {
  if (type === "MONTH") return { year, month: month + steps, day };
  if (type === "QUARTER") return { year, month: month + 3 * steps, day };
  const at = new Date(Date.UTC(year, month, day) + steps * 7 * dayMs);
  return { year: at.getUTCFullYear(), month: at.getUTCMonth(), day: at.getUTCDate() };
}
