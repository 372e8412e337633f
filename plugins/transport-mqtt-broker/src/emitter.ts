import { Qlobber } from "qlobber";

/** As aedes emits it. */
export interface Emitted {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly brokerId?: string;
  readonly brokerCounter?: number;
  readonly clientId?: string;
}
export type Listener = (packet: Emitted, done: () => void) => void;

const mostPending = 1_000;

export interface EmitterOptions {
  /** A message that has been delivered before aedes came to it. */
  delivered(packet: Emitted): boolean;
  /** Tells the other nodes; resolves when they have it. */
  elsewhere(packet: Emitted): Promise<void> | undefined;
  dropped(): void;
}

/**
 * From a message to its subscriptions. Nobody waits for a subscriber: one that does not read has so many messages pending
 * and loses the next, while its neighbours are served (the emitter that aedes brings stops for all).
 */
export class Emitter {
  readonly #options: EmitterOptions;
  readonly #matcher = new Qlobber<Listener>({
    separator: "/",
    wildcard_one: "+",
    wildcard_some: "#",
    match_empty_levels: true,
  });
  readonly #pending = new Map<Listener, number>();
  closed = false;

  constructor(options: EmitterOptions) {
    this.#options = options;
  }

  on(topic: string, listener: Listener, done?: () => void): this {
    this.#matcher.add(topic, listener);
    this.#pending.set(listener, 0);
    if (done !== undefined) setImmediate(done);
    return this;
  }

  removeListener(topic: string, listener: Listener, done?: () => void): this {
    this.#matcher.remove(topic, listener);
    this.#pending.delete(listener);
    if (done !== undefined) setImmediate(done);
    return this;
  }

  /** What aedes has to say. `done` when the other nodes have it; the subscribers here are served beside. */
  emit(packet: Emitted, done: (error?: unknown) => void): this {
    if (this.#options.delivered(packet)) {
      setImmediate(done);
      return this;
    }
    this.deliver(packet);
    const told = this.#options.elsewhere(packet);
    if (told === undefined) setImmediate(done);
    else told.then(() => done(), done);
    return this;
  }

  /** To the subscriptions of this node. */
  deliver(packet: Emitted): void {
    if (this.closed) return;
    for (const listener of new Set(this.#matcher.match(packet.topic))) {
      const pending = this.#pending.get(listener) ?? 0;
      if (pending >= mostPending) {
        this.#options.dropped();
        continue;
      }
      this.#pending.set(listener, pending + 1);
      listener(packet, () => {
        const left = this.#pending.get(listener);
        if (left !== undefined) this.#pending.set(listener, left - 1);
      });
    }
  }

  close(done: () => void): this {
    this.closed = true;
    setImmediate(done);
    return this;
  }
}
