export interface AnsweredLimits {
  readonly count: number;
  readonly ms: number;
}

interface Answer {
  readonly key: string;
  readonly at: number;
  readonly reply: Buffer | undefined;
}

/**
 * The requests answered of late, so that each is handled once. Bounded by time, which RFC 7252 section 4.8.2 names, and
 * by count: under a flood the window is shorter than the RFC's, since anybody can send what has to be remembered.
 */
export class Answered {
  readonly #limits: AnsweredLimits;
  readonly #answers = new Map<string, Answer>();
  /**
   * The same answers, the oldest at `#head`: a ring. A map tells its first key only by walking over everything deleted
   * before it.
   */
  readonly #ring: (Answer | undefined)[] = [];
  #head = 0;

  constructor(limits: AnsweredLimits) {
    this.#limits = limits;
  }

  get(key: string): Answer | undefined {
    return this.#answers.get(key);
  }

  /**
   * `reply` is what the request gets when it comes again: nothing when it was non-confirmable. A key is added once
   * while it is remembered.
   */
  add(key: string, reply: Buffer | undefined, now: number): void {
    if (this.#answers.size >= this.#limits.count) this.#forgetOldest();
    const answer = { key, at: now, reply };
    this.#ring[(this.#head + this.#answers.size) % this.#limits.count] = answer;
    this.#answers.set(key, answer);
  }

  expire(now: number): void {
    for (let oldest = this.#ring[this.#head]; oldest !== undefined; oldest = this.#ring[this.#head]) {
      if (now - oldest.at < this.#limits.ms) return;
      this.#forgetOldest();
    }
  }

  #forgetOldest(): void {
    const oldest = this.#ring[this.#head];
    if (oldest === undefined) return;
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#limits.count;
    this.#answers.delete(oldest.key);
  }
}
