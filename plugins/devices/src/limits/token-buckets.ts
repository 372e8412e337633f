/** One `capacity:seconds` pair: so many tokens in so much time, refilled evenly. */
interface Bucket {
  readonly capacity: number;
  /** Tokens that come back in a millisecond. */
  readonly perMs: number;
  tokens: number;
  at: number;
}

const pair = /^\s*(\d{1,12})\s*:\s*(\d{1,9})\s*$/;

/** The pairs of a limit text, such as `10:1,300:60` (device-api 0.6); undefined where nothing is limited. */
export function readLimit(text: unknown): readonly (readonly [capacity: number, seconds: number])[] | undefined {
  if (typeof text !== "string" || text.trim() === "") return undefined;
  const pairs = text.split(",").flatMap((part) => {
    const [, capacity, seconds] = pair.exec(part) ?? [];
    return Number(capacity) > 0 && Number(seconds) > 0 ? [[Number(capacity), Number(seconds)] as const] : [];
  });
  return pairs.length === 0 ? undefined : pairs;
}

/** The buckets of one limit text: all of them must have the tokens. */
export class TokenBuckets {
  readonly #buckets: readonly Bucket[];

  constructor(pairs: readonly (readonly [capacity: number, seconds: number])[], now: number) {
    this.#buckets = pairs.map(([capacity, seconds]) => {
      return { capacity, perMs: capacity / (seconds * 1_000), tokens: capacity, at: now };
    });
  }

  /** False, and nothing is taken, when one of them has fewer. `now`: monotonic ms. */
  take(count: number, now: number): boolean {
    for (const bucket of this.#buckets) {
      bucket.tokens = Math.min(bucket.capacity, bucket.tokens + (now - bucket.at) * bucket.perMs);
      bucket.at = now;
    }
    if (this.#buckets.some(({ tokens }) => tokens < count)) return false;
    for (const bucket of this.#buckets) bucket.tokens -= count;
    return true;
  }

  /** How long it takes until so many are there, ms; more than the capacity never come. */
  waitMs(count: number): number {
    return Math.max(
      ...this.#buckets.map(({ capacity, tokens, perMs }) => (Math.min(count, capacity) - tokens) / perMs),
      0,
    );
  }
}
