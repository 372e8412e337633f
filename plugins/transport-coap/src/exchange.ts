import type { Request } from "./request.ts";
import type { Response } from "./response.ts";
import type { Timed, TimerWheel } from "./wheel.ts";

/** An answer that takes longer goes separately, behind an empty acknowledgement (device-api 4.2). */
const piggybackMs = 500;
/** Then the device is told that there is none (device-api 0.1). */
const answerMs = 10_000;

/** What an exchange has sent. */
export interface Answering {
  /** The empty acknowledgement of a confirmable request. */
  acknowledge(exchange: Exchange): void;
  /** The response: `separate` when the acknowledgement has gone ahead. */
  answer(exchange: Exchange, response: Response, separate: boolean): void;
}

export interface ExchangeStart {
  readonly key: string;
  readonly messageId: number;
  readonly request: Request;
}

/** One request from its arrival to its answer. */
export class Exchange implements Timed {
  slot: Set<Timed> | undefined;
  readonly key: string;
  readonly messageId: number;
  readonly request: Request;
  readonly #answering: Answering;
  readonly #wheel: TimerWheel;
  #state: "fresh" | "acknowledged" | "answered" = "fresh";

  constructor({ key, messageId, request }: ExchangeStart, answering: Answering, wheel: TimerWheel) {
    this.key = key;
    this.messageId = messageId;
    this.request = request;
    this.#answering = answering;
    this.#wheel = wheel;
    wheel.after(piggybackMs, this);
  }

  get acknowledged(): boolean {
    return this.#state === "acknowledged" && this.request.confirmable;
  }

  expire(): void {
    if (this.#state === "acknowledged") return this.respond({ code: "5.04" });
    this.#state = "acknowledged";
    if (this.request.confirmable) this.#answering.acknowledge(this);
    this.#wheel.after(answerMs - piggybackMs, this);
  }

  /** The first answer counts; one that comes after the time is up never reaches the device. */
  respond(response: Response): void {
    if (this.#state === "answered") return response.delivery?.lost("timeout");
    const separate = this.#state === "acknowledged";
    this.#state = "answered";
    this.#wheel.cancel(this);
    this.#answering.answer(this, response, separate);
  }
}
