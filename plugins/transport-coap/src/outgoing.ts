import type { Delivery } from "./response.ts";
import type { Timed, TimerWheel } from "./wheel.ts";

/** RFC 7252 section 4.8. */
const ackTimeoutMs = 2_000;
const ackRandomFactor = 1.5;
const maxRetransmit = 4;

interface OutgoingOptions {
  readonly wheel: TimerWheel;
  /** In [0, 1). */
  readonly random: number;
  readonly delivery: Delivery | undefined;
  send(): void;
  /** The message waits no longer. */
  done(): void;
}

/** A confirmable message of ours until it is acknowledged, reset or given up. */
export class Outgoing implements Timed {
  slot: Set<Timed> | undefined;
  readonly #options: OutgoingOptions;
  #wait: number;
  #sent = 0;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.#wait = ackTimeoutMs * (1 + options.random * (ackRandomFactor - 1));
    this.expire();
  }

  expire(): void {
    if (this.#sent > maxRetransmit) return this.lost("timeout");
    this.#sent++;
    this.#options.send();
    this.#options.wheel.after(this.#wait, this);
    this.#wait *= 2;
  }

  acknowledged(): void {
    this.#end();
    this.#options.delivery?.acknowledged();
  }

  lost(why: "reset" | "timeout"): void {
    this.#end();
    this.#options.delivery?.lost(why);
  }

  /** Nobody waits for it any more. */
  abandon(): void {
    this.#end();
  }

  #end(): void {
    this.#options.wheel.cancel(this);
    this.#options.done();
  }
}
