export const bucketSizes = ["MINUTES", "HOURS", "DAYS", "MONTHS", "YEARS", "INDEFINITE"] as const;
export type BucketSize = (typeof bucketSizes)[number];

/** Where calendars end (ECMAScript 21.4.1.1); times beyond share the outermost bucket. */
const lastTime = 8_640_000_000_000_000;
const fixed = { MINUTES: 60_000, HOURS: 3_600_000, DAYS: 86_400_000 } as const;
const longest = { ...fixed, MONTHS: 31 * 86_400_000, YEARS: 366 * 86_400_000, INDEFINITE: Number.POSITIVE_INFINITY };

/** Start of the period of a time, in UTC (runtime 12.5); INDEFINITE is 0. */
export function bucketOf(ts: number, size: BucketSize): number {
  if (size === "INDEFINITE") return 0;
  const time = Math.max(-lastTime, Math.min(lastTime, ts));
  if (size !== "MONTHS" && size !== "YEARS") return Math.floor(time / fixed[size]) * fixed[size];
  const date = new Date(time);
  const start = Date.UTC(date.getUTCFullYear(), size === "YEARS" ? 0 : date.getUTCMonth());
  // The first period has no representable start, and years below 100 mean the last century to Date.UTC.
  if (Number.isNaN(start)) return -lastTime;
  return date.getUTCFullYear() >= 0 && date.getUTCFullYear() < 100 ? earlyStart(date, size) : start;
}

function earlyStart(date: Date, size: BucketSize): number {
  const start = new Date(0);
  start.setUTCFullYear(date.getUTCFullYear(), size === "YEARS" ? 0 : date.getUTCMonth(), 1);
  return start.getTime();
}

/** No time of the bucket is later. */
export const bucketEnd = (bucket: number, size: BucketSize): number => bucket + longest[size];
