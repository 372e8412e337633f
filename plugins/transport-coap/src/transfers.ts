export interface TransferLimits {
  readonly count: number;
  readonly bytes: number;
  readonly ms: number;
}

interface Sized {
  readonly bytes: number;
}

interface Kept<T> {
  readonly value: T;
  readonly bytes: number;
  readonly at: number;
}

/** Counted for each transfer besides its bytes. */
const overhead = 1_024;

/** Block-wise transfers that are not finished: the least recently used one goes when there are too many. */
export class Transfers<T extends Sized> {
  readonly #limits: TransferLimits;
  readonly #kept = new Map<string, Kept<T>>();
  #bytes = 0;

  constructor(limits: TransferLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): T | undefined {
    return this.#kept.get(key)?.value;
  }

  /** Takes the transfer as it is now, and as the most recent one. */
  put(key: string, value: T, now: number): void {
    this.delete(key);
    const bytes = value.bytes + overhead;
    this.#kept.set(key, { value, bytes, at: now });
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#limits.count && this.#bytes <= this.#limits.bytes) return;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }

  expire(now: number): void {
    for (const [key, { at }] of this.#kept) {
      if (now - at < this.#limits.ms) return;
      this.delete(key);
    }
  }
}
