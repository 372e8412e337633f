import { asFault, type Log, type Metric, type World } from "@heddle/plugin-sdk";
import { Answered } from "./answered.ts";
import type { Datagrams, Endpoint } from "./datagrams.ts";
import { type Answering, Exchange } from "./exchange.ts";
import { decode, emptyMessage, encode, type Heading, type Message } from "./message.ts";
import { Outgoing } from "./outgoing.ts";
import { type Request, readRequest } from "./request.ts";
import { type Delivery, optionsOf, type Response } from "./response.ts";
import type { TimerWheel } from "./wheel.ts";

export interface ExchangeLimits {
  /** Requests in progress of one peer. */
  readonly perPeer: number;
  /** Bytes of all requests in progress, each with `overhead` on top. */
  readonly pendingBytes: number;
  /** Requests remembered so that a copy is not handled again. */
  readonly remembered: number;
  readonly rememberMs: number;
}

export interface ExchangeMetrics {
  readonly requests: Metric;
  readonly responses: Metric;
  readonly dropped: Metric;
}

interface ExchangesOptions {
  readonly world: World;
  readonly log: Log;
  readonly wheel: TimerWheel;
  readonly metrics: ExchangeMetrics;
  readonly limits: ExchangeLimits;
  handle(request: Request): Promise<Response>;
}

export interface Addressing {
  readonly token: Buffer;
  readonly confirmable: boolean;
}

/** A request in progress costs about this much besides its bytes. */
const overhead = 1_024;
/** Confirmable messages of ours that wait at once; further ones are sent once. */
const mostOutgoing = 32_768;
const mostResettable = 65_536;

/** The message layer of RFC 7252: types, duplicates, acknowledgements and retransmission. */
export class Exchanges implements Answering {
  readonly #options: ExchangesOptions;
  readonly #datagrams: Datagrams;
  readonly #answered: Answered;
  readonly #open = new Map<string, Exchange>();
  /** Requests in progress by peer. */
  readonly #peers = new Map<string, number>();
  readonly #outgoing = new Map<string, Outgoing>();
  /** Who wants to know of a reset of a non-confirmable message. */
  readonly #resettable = new Map<string, () => void>();
  #pendingBytes = 0;
  #messageId: number;

  constructor(options: ExchangesOptions, datagrams: Datagrams) {
    this.#options = options;
    this.#datagrams = datagrams;
    const { remembered, rememberMs } = options.limits;
    this.#answered = new Answered({ count: remembered, ms: rememberMs });
    this.#messageId = Math.floor(options.world.random() * 0x1_0000);
  }

  get open(): number {
    return this.#open.size;
  }

  /** Forgets what is remembered long enough; called once in a while. */
  expire(): void {
    this.#answered.expire(this.#options.world.elapsed());
  }

  receive(bytes: Buffer, from: Endpoint): void {
    const message = decode(bytes);
    if (message === undefined) return this.#drop("malformed");
    if (message.code === "0.00") return this.#empty(message, from);
    const isRequest = message.code.startsWith("0.") && !message.ack && !message.reset;
    if (isRequest) return this.#request(message, from, bytes.length);
    // We ask nobody, so nobody has anything to answer.
    if (message.confirmable) this.#datagrams.send(emptyMessage("rst", message.messageId), from);
    this.#drop("unexpected");
  }

  /** Sends a message that is no answer; returns what `forget` takes. */
  notify(to: Endpoint, { token, confirmable }: Addressing, response: Response): string {
    return this.#send(to, { token, confirmable }, response);
  }

  /** What becomes of that message is of no interest any more: it is not sent again. */
  forget(key: string): void {
    this.#resettable.delete(key);
    this.#outgoing.get(key)?.abandon();
  }

  #empty(message: Message, from: Endpoint): void {
    // A ping (RFC 7252 section 4.3).
    if (message.confirmable) return this.#datagrams.send(emptyMessage("rst", message.messageId), from);
    const key = `${from.key}/${message.messageId}`;
    const outgoing = this.#outgoing.get(key);
    if (message.ack) return outgoing?.acknowledged();
    if (!message.reset) return;
    outgoing?.lost("reset");
    const reset = this.#resettable.get(key);
    this.#resettable.delete(key);
    reset?.();
  }

  #request(message: Message, from: Endpoint, size: number): void {
    const { messageId } = message;
    const key = `${from.key}/${messageId}`;
    if (this.#isCopy(key, message, from)) return this.#drop("duplicate");
    const { limits, metrics, wheel } = this.#options;
    const ofPeer = this.#peers.get(from.key) ?? 0;
    if (ofPeer >= limits.perPeer) return this.#refuse(message, from, { code: "5.03", reason: "peer-limit" });
    const cost = size + overhead;
    if (this.#pendingBytes + cost > limits.pendingBytes) {
      return this.#refuse(message, from, { code: "5.03", reason: "overload" });
    }
    const request = readRequest(message, from);
    if ("refused" in request) return this.#refuse(message, from, { code: request.refused, reason: "option" });

    metrics.requests.record(1, methodLabels[request.method] ?? otherMethod);
    this.#peers.set(from.key, ofPeer + 1);
    this.#pendingBytes += cost;
    const exchange = new Exchange({ key, messageId, request }, this, wheel);
    this.#open.set(key, exchange);
    this.#options.handle(request).then(
      (response) => this.#settle(exchange, response, cost),
      (error: unknown) => {
        this.#options.log.error("request of a device failed", { error: asFault(error) });
        this.#settle(exchange, { code: "5.00" }, cost);
      },
    );
  }

  /** Handled once; a copy of a confirmable request gets the same acknowledgement (RFC 7252 section 4.5). */
  #isCopy(key: string, { confirmable, messageId }: Message, from: Endpoint): boolean {
    const exchange = this.#open.get(key);
    if (exchange !== undefined) {
      if (exchange.acknowledged && confirmable) this.#datagrams.send(emptyMessage("ack", messageId), from);
      return true;
    }
    const answer = this.#answered.get(key);
    if (answer === undefined) return false;
    if (answer.reply !== undefined && confirmable) this.#datagrams.send(answer.reply, from);
    return true;
  }

  #settle(exchange: Exchange, response: Response, cost: number): void {
    const peer = exchange.request.from.key;
    const left = (this.#peers.get(peer) ?? 1) - 1;
    if (left === 0) this.#peers.delete(peer);
    else this.#peers.set(peer, left);
    this.#pendingBytes -= cost;
    exchange.respond(response);
  }

  /** Only a confirmable request hears of it: whoever floods with others need not be told. */
  #refuse({ confirmable, messageId, token }: Message, to: Endpoint, why: { code: string; reason: string }): void {
    this.#drop(why.reason);
    if (!confirmable) return;
    this.#count(why.code);
    this.#datagrams.send(encode({ type: "ack", code: why.code, messageId, token }, []), to);
  }

  acknowledge({ messageId, request }: Exchange): void {
    this.#datagrams.send(emptyMessage("ack", messageId), request.from);
  }

  answer(exchange: Exchange, response: Response, separate: boolean): void {
    const { from, token, confirmable } = exchange.request;
    if (confirmable && !separate) return this.#piggyback(exchange, response);
    this.#close(exchange, confirmable ? emptyMessage("ack", exchange.messageId) : undefined);
    this.#send(from, { token, confirmable }, response);
  }

  #piggyback(exchange: Exchange, response: Response): void {
    const { messageId, request } = exchange;
    const bytes = bytesOf(response, { type: "ack", messageId, token: request.token });
    this.#close(exchange, bytes);
    this.#count(response.code);
    this.#datagrams.send(bytes, request.from);
    response.delivery?.acknowledged();
  }

  #close(exchange: Exchange, reply: Buffer | undefined): void {
    this.#open.delete(exchange.key);
    this.#answered.add(exchange.key, reply, this.#options.world.elapsed());
  }

  #send(to: Endpoint, { token, confirmable }: Addressing, response: Response): string {
    const { messageId, key } = this.#nextId(to);
    const bytes = bytesOf(response, { type: confirmable ? "con" : "non", messageId, token });
    this.#count(response.code);
    const { delivery } = response;
    if (!confirmable) {
      if (delivery !== undefined) this.#onReset(key, delivery);
      this.#datagrams.send(bytes, to);
      delivery?.acknowledged();
    } else if (this.#outgoing.size >= mostOutgoing) {
      this.#drop("unconfirmed");
      this.#datagrams.send(bytes, to);
      delivery?.lost("timeout");
    } else this.#confirmably(key, bytes, { to, delivery });
    return key;
  }

  #confirmably(key: string, bytes: Buffer, at: { to: Endpoint; delivery: Delivery | undefined }): void {
    const { wheel, world } = this.#options;
    const outgoing = new Outgoing({
      wheel,
      random: world.random(),
      delivery: at.delivery,
      send: () => this.#datagrams.send(bytes, at.to),
      done: () => this.#outgoing.delete(key),
    });
    this.#outgoing.set(key, outgoing);
  }

  #onReset(key: string, delivery: Delivery): void {
    if (this.#resettable.size < mostResettable) this.#resettable.set(key, () => delivery.lost("reset"));
  }

  /** One that no message to this peer waits under. */
  #nextId(to: Endpoint): { messageId: number; key: string } {
    for (;;) {
      this.#messageId = (this.#messageId + 1) & 0xffff;
      const key = `${to.key}/${this.#messageId}`;
      if (!this.#outgoing.has(key)) return { messageId: this.#messageId, key };
    }
  }

  #drop(reason: string): void {
    this.#options.metrics.dropped.record(1, reasonLabels[reason] ?? { reason });
  }

  #count(code: string): void {
    this.#options.metrics.responses.record(1, classLabels[code.charAt(0)] ?? { class: "other" });
  }
}

function bytesOf(response: Response, { type, messageId, token }: Omit<Heading, "code">): Buffer {
  return encode({ type, code: response.code, messageId, token }, optionsOf(response), response.payload);
}

/** Made once: a label object for each message would be most of its cost. */
const methodLabels: Readonly<Record<string, { method: string }>> = Object.fromEntries(
  ["GET", "POST", "PUT", "DELETE"].map((method) => [method, { method }]),
);
const otherMethod = { method: "other" };
const classLabels: Readonly<Record<string, { class: string }>> = Object.fromEntries(
  ["2", "4", "5"].map((first) => [first, { class: `${first}.xx` }]),
);
const reasons = ["malformed", "unexpected", "duplicate", "peer-limit", "overload", "option", "unconfirmed"];
const reasonLabels: Readonly<Record<string, { reason: string }>> = Object.fromEntries(
  reasons.map((reason) => [reason, { reason }]),
);
