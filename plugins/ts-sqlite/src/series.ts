import { noPoints, type Points, sorted } from "./points.ts";

export const never = Number.NEGATIVE_INFINITY;

export interface Latest {
  /** `never` when there is none. */
  readonly ts: number;
  readonly kind: number;
  readonly value: number | string;
}

export const noLatest: Latest = { ts: never, kind: 0, value: 0 };

/** One key of one entity, in memory: its latest value and the points that are in the log but in no chunk yet. */
export class Series {
  readonly entityType: string;
  readonly entityId: string;
  readonly key: string;
  /** 0 until stored. */
  id = 0;
  latest: Latest = noLatest;
  /** Points of log rows up to this one are in chunks. */
  chunkedSeq = 0;
  /** Log row of the oldest recent point. */
  since = 0;
  /** Longest of the recent points, ms; 0 keeps them for good. */
  ttl = 0;
  /** The main thread may name it by link number. */
  linked = false;
  #recent = noPoints();
  #ordered = true;

  constructor(entityType: string, entityId: string, key: string) {
    this.entityType = entityType;
    this.entityId = entityId;
    this.key = key;
  }

  get count(): number {
    return this.#recent.ts.length;
  }

  get recent(): Points {
    if (!this.#ordered) this.#recent = sorted(this.#recent);
    this.#ordered = true;
    return this.#recent;
  }

  push(ts: number, kind: number, value: number | string, ttl: number): void {
    const { ts: times, kinds, values } = this.#recent;
    const count = times.length;
    if (count === 0) this.ttl = ttl;
    else {
      if (ts <= (times[count - 1] as number)) this.#ordered = false;
      if (ttl === 0 || (this.ttl !== 0 && ttl > this.ttl)) this.ttl = ttl;
    }
    times.push(ts);
    kinds.push(kind);
    values.push(value);
    if (ts >= this.latest.ts) this.latest = { ts, kind, value };
  }

  /** Its points are in chunks up to log row `seq`. */
  chunked(seq: number): void {
    this.#recent = noPoints();
    this.#ordered = true;
    this.chunkedSeq = seq;
  }

  forget(): void {
    this.chunked(0);
    this.id = 0;
    this.latest = noLatest;
  }
}

/** Oldest ts that is still to be seen at `now`. */
export const visibleFrom = (ttl: number, now: number): number => (ttl === 0 ? never : now - ttl + 1);
