/** One message on its way to a turn. An ask has `resolve` and `reject`; a tell has neither. */
export interface Envelope {
  readonly verb: string;
  readonly arg: unknown;
  readonly signal: AbortSignal | undefined;
  readonly trace: string;
  readonly resolve?: (value: unknown) => void;
  readonly reject?: (reason: unknown) => void;
}

/** First in, first out, without moving what is behind the head. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/**
 * Bounded, two lanes: urgent mail overtakes. When full, a tell is refused and an ask waits outside until there is room or
 * its signal aborts: the sender chooses loss or patience, the kernel never chooses memory.
 */
export class Mailbox {
  readonly #limit: number;
  readonly #urgent = new Fifo<Envelope>();
  readonly #normal = new Fifo<Envelope>();
  readonly #waiting = new Fifo<{ envelope: Envelope; urgent: boolean }>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#urgent.size + this.#normal.size;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** False when the message was refused. */
  push(envelope: Envelope, urgent: boolean): boolean {
    if (this.size >= this.#limit) {
      if (envelope.resolve === undefined) return false;
      this.#waiting.push({ envelope, urgent });
      return true;
    }
    (urgent ? this.#urgent : this.#normal).push(envelope);
    return true;
  }

  shift(): Envelope | undefined {
    const next = this.#urgent.shift() ?? this.#normal.shift();
    if (next !== undefined) this.#admit();
    return next;
  }

  #admit(): void {
    for (;;) {
      const outside = this.#waiting.shift();
      if (outside === undefined) return;
      if (outside.envelope.signal?.aborted === true) continue;
      (outside.urgent ? this.#urgent : this.#normal).push(outside.envelope);
      return;
    }
  }
}
