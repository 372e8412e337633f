import {
  type DeviceCodecs,
  fixedCodec,
  jsonCodec,
  type PayloadCodec,
  readDocument,
  scalarText,
} from "@heddle/payload-codec";
import { asFault, Fault, type Session } from "@heddle/plugin-sdk";
import type { Downstream } from "./downstream.ts";
import { mostCalls } from "./limits.ts";
import { reason } from "./reasons.ts";
import { idOf, type Told } from "./told.ts";
import { type Family, type KnownTopic, v1 } from "./topics.ts";
import type { Upstream } from "./upstream.ts";
import type { Wire } from "./wire.ts";

/** How what a device publishes in a family is encoded (device-api 2.2). */
export function codecUp({ profile }: DeviceCodecs, family: Family): PayloadCodec {
  return family === 2 ? jsonCodec : family === 3 ? fixedCodec : profile;
}

const sessionLimitsMethod = Buffer.from("getSessionLimits");

/** What a device asks of the platform, beside telling it values (device-api 2.5, 2.6, 6.3). */
export class DeviceRequests {
  readonly #wire: Wire;
  readonly #session: Session;
  readonly #up: Upstream;
  readonly #down: Downstream;
  /** The newest call of each id that waits for its reply. */
  readonly #calls = new Map<number, object>();

  constructor(wire: Wire, parts: { readonly session: Session; readonly up: Upstream; readonly down: Downstream }) {
    this.#wire = wire;
    this.#session = parts.session;
    this.#up = parts.up;
    this.#down = parts.down;
  }

  readAttributes(told: Told, topic: KnownTopic, codec: PayloadCodec): void {
    const requestId = idOf(told, topic);
    // An empty payload is no object either, where the others take it for one without members.
    const wanted = codec.attributesRequest(told.payload);
    this.#down.remember("attributeResponse", topic.family);
    const reading = this.#session.readAttributes(wanted, { signal: this.#session.closed });
    const run = this.#up.line.pass(told.entry);
    const answered = reading.then(
      (reply) => {
        if (requestId < 0) return;
        this.#up.line.after(run, () =>
          this.#down.answer("attributeResponse", requestId, (by) => by.attributesReply(requestId, reply)),
        );
      },
      (error: unknown) => {
        // A device above its rate limit is disconnected (device-api 2.11); other trouble leaves it without an answer.
        if (asFault(error).kind === "exhausted") this.#up.stop(reason.implementation);
        throw error;
      },
    );
    this.#wire.track(answered, "attributes not read");
  }

  call(told: Told, topic: KnownTopic, codec: PayloadCodec): void {
    const requestId = idOf(told, topic);
    if (topic.family === v1 && asksSessionLimits(told.payload)) return this.#tellLimits(told, requestId);
    if (this.#calls.size >= mostCalls && !this.#calls.has(requestId)) {
      throw new Fault("exhausted", "mqtt.calls", `${mostCalls} calls of the device wait for an answer, the limit`);
    }
    const { accepted, reply } = this.#session.rpc(
      { requestId, payload: codec.clientRpc(told.payload) },
      { signal: this.#session.closed },
    );
    this.#down.remember("rpcResponse", topic.family);
    const run = this.#up.line.wait(told.entry, accepted, told.payload.length);
    this.#calls.set(requestId, run);
    // A newer call with this id has taken the place of this one (device-api 2.6).
    const answer = (json: string) => {
      if (this.#calls.get(requestId) !== run) return;
      this.#calls.delete(requestId);
      this.#up.line.after(run, () => this.#answer(requestId, json));
    };
    reply.then(answer, (error: unknown) => {
      if (asFault(error).code === "rpc.timeout") return answer('{"error":"timeout"}');
      if (this.#calls.get(requestId) === run) this.#calls.delete(requestId);
    });
  }

  claim(told: Told, codec: PayloadCodec): void {
    const document = codec.claim(told.payload);
    this.#session.spend();
    this.#session.touch();
    const opening = this.#wire.common.onboarding.openClaim(this.#session.device, document, {
      signal: this.#session.closed,
    });
    this.#up.line.wait(told.entry, opening, told.payload.length);
  }

  /** The transport answers this call itself (device-api 2.6): SDKs hold back their traffic until they know. */
  #tellLimits({ entry }: Told, requestId: number): void {
    const { maxPacket, inFlight } = this.#wire.common.limits;
    const { own, children } = this.#session.limits();
    this.#session.touch();
    this.#down.remember("rpcResponse", v1);
    const text = JSON.stringify({
      maxPayloadSize: maxPacket,
      maxInflightMessages: inFlight,
      rateLimits: own,
      ...(this.#session.device.gateway ? { gatewayRateLimits: children } : {}),
    });
    // JSON whatever the profile says: the question was.
    const write = () => this.#down.answer("rpcResponse", requestId, () => Buffer.from(text));
    this.#up.line.after(this.#up.line.pass(entry), write);
  }

  #answer(requestId: number, json: string): void {
    this.#down.answer("rpcResponse", requestId, (by) => by.clientRpcReply(requestId, json));
  }
}

function asksSessionLimits(payload: Buffer): boolean {
  if (!payload.includes(sessionLimitsMethod)) return false;
  try {
    const document = readDocument(payload);
    return document.type === "object" && scalarText(document.members.get("method")) === "getSessionLimits";
  } catch {
    // Not for us: whoever handles calls says what is wrong with it.
    return false;
  }
}
