/** The stored kinds; their numbers are in files, never reuse one. Big longs and texts are kept as text. */
export const kind = { boolean: 1, long: 2, double: 3, string: 4, json: 5, bigLong: 6 } as const;

export const isText = (code: number): boolean => code >= kind.string;
export const isNumber = (code: number): boolean => code === kind.long || code === kind.double || code === kind.bigLong;

/** Points of one series, by column; ascending unless said otherwise. */
export interface Points {
  readonly ts: number[];
  readonly kinds: number[];
  readonly values: (number | string)[];
}

export const noPoints = (): Points => ({ ts: [], kinds: [], values: [] });

export function pushPoint(to: Points, from: Points, at: number): void {
  to.ts.push(from.ts[at] as number);
  to.kinds.push(from.kinds[at] as number);
  to.values.push(from.values[at] as number | string);
}

/** First index whose ts is not less than `ts`. */
export function lowerBound(ts: readonly number[], wanted: number): number {
  let low = 0;
  let high = ts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ts[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function between(points: Points, from: number, to: number): Points {
  const first = lowerBound(points.ts, from);
  const last = lowerBound(points.ts, to);
  if (first === 0 && last === points.ts.length) return points;
  return {
    ts: points.ts.slice(first, last),
    kinds: points.kinds.slice(first, last),
    values: points.values.slice(first, last),
  };
}

/** Both in one order; at the same ts the newer write stands. */
export function merge(older: Points, newer: Points): Points {
  if (newer.ts.length === 0) return older;
  if (older.ts.length === 0) return newer;
  const merged = noPoints();
  let left = 0;
  let right = 0;
  while (left < older.ts.length || right < newer.ts.length) {
    const leftTs = older.ts[left] ?? Number.POSITIVE_INFINITY;
    const rightTs = newer.ts[right] ?? Number.POSITIVE_INFINITY;
    if (leftTs < rightTs) pushPoint(merged, older, left++);
    else {
      if (leftTs === rightTs) left++;
      pushPoint(merged, newer, right++);
    }
  }
  return merged;
}

/** In order of ts, one point for each: of equal ones the last that was pushed. */
export function sorted(points: Points): Points {
  const order = points.ts
    .map((_, at) => at)
    .sort((a, b) => (points.ts[a] as number) - (points.ts[b] as number) || a - b);
  const result = noPoints();
  for (let at = 0; at < order.length; at++) {
    const here = order[at] as number;
    const next = order[at + 1];
    if (next === undefined || points.ts[next] !== points.ts[here]) pushPoint(result, points, here);
  }
  return result;
}
