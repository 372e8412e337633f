import { Fault } from "@heddle/plugin-sdk";
import type { Exchanges } from "./exchanges.ts";
import type { Request } from "./request.ts";
import type { Delivery, Response } from "./response.ts";

interface Push {
  readonly payload: Buffer;
  done(): void;
  failed(error: Fault): void;
}

export interface ObservationOptions {
  readonly request: Request;
  readonly exchanges: Pick<Exchanges, "notify" | "forget">;
  /** Number of the first response. */
  readonly sequence: number;
  /** Content-Format of what is pushed. */
  readonly format: number;
  cut(request: Request, response: Response): Response;
  now(): number;
  /** The observer reset, did not confirm, or is too slow. */
  lost(): void;
}

/** Pushes that wait for the acknowledgement of the one before. */
const mostWaiting = 128;
/** After so long without, a notification asks for an acknowledgement: is anybody there (RFC 7641 section 4.5)? */
const confirmMs = 24 * 3_600_000;

/** One registration of RFC 7641: a peer and a token that want to hear. One confirmable notification waits at a time. */
export class Observation {
  readonly #options: ObservationOptions;
  readonly #waiting: Push[] = [];
  #sequence: number;
  /** Closed until the first response is through, and while a notification waits for its acknowledgement. */
  #busy: Push | "first" | undefined = "first";
  #last: string | undefined;
  #confirmed: number;
  #open = true;

  constructor(options: ObservationOptions) {
    this.#options = options;
    this.#sequence = options.sequence;
    this.#confirmed = options.now();
  }

  get request(): Request {
    return this.#options.request;
  }

  get sequence(): number {
    return this.#sequence;
  }

  isOf({ from, token }: Pick<Request, "from" | "token">): boolean {
    return from.key === this.request.from.key && token.equals(this.request.token);
  }

  /** The answer to the registration; notifications follow when it has arrived. */
  first(response: Response): Response {
    if (!this.#open) return { code: "5.03" };
    const delivery: Delivery = { acknowledged: () => this.#proceed(), lost: () => this.#options.lost() };
    return { ...response, observe: this.#sequence, delivery };
  }

  /** Resolves when the device has it: by acknowledgement, or at once where it asked for none (device-api 4.4). */
  push(payload: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#open) return reject(gone());
      if (this.#waiting.length >= mostWaiting) {
        reject(new Fault("exhausted", "coap.observer-slow", `${mostWaiting} pushes wait for their observer`));
        // What it missed cannot be sent later: ended with an error, it registers anew and gets the whole state.
        return this.#giveUp();
      }
      this.#waiting.push({ payload, done: resolve, failed: reject });
      this.#send();
    });
  }

  /** Ends it; `code` is that of a final notification. Safe twice. */
  close(code?: string): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#last !== undefined) this.#options.exchanges.forget(this.#last);
    if (code !== undefined) {
      const { from, token, confirmable } = this.request;
      this.#options.exchanges.notify(from, { token, confirmable }, { code });
    }
    const unsent = this.#waiting.splice(0);
    if (this.#busy !== undefined && this.#busy !== "first") unsent.unshift(this.#busy);
    for (const push of unsent) push.failed(gone());
  }

  #giveUp(): void {
    this.close("5.03");
    this.#options.lost();
  }

  #proceed(): void {
    const sent = this.#busy;
    this.#busy = undefined;
    if (sent !== undefined && sent !== "first") sent.done();
    this.#send();
  }

  #send(): void {
    if (!this.#open || this.#busy !== undefined) return;
    const push = this.#waiting.shift();
    if (push === undefined) return;
    const { request, exchanges, now, cut, lost, format } = this.#options;
    this.#busy = push;
    this.#sequence = (this.#sequence + 1) & 0xff_ffff;
    const confirmable = request.confirmable || now() - this.#confirmed > confirmMs;
    if (confirmable) this.#confirmed = now();
    if (this.#last !== undefined) exchanges.forget(this.#last);
    const whole = {
      code: "2.05",
      payload: push.payload,
      format,
      observe: this.#sequence,
      delivery: { acknowledged: () => this.#proceed(), lost },
    };
    this.#last = exchanges.notify(request.from, { token: request.token, confirmable }, cut(request, whole));
  }
}

function gone(): Fault {
  return new Fault("unavailable", "coap.observer-lost", "the observer has left, or did not confirm");
}
