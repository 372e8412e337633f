import { provisionReplyBytes, provisionRequestText } from "@heddle/payload-codec";
import { asFault, Fault, isFault, type ProvisionReply, type ProvisionRequest } from "@heddle/plugin-sdk";
import type { ISubscribePacket, IUnsubscribePacket } from "mqtt-packet";
import { suback, unsuback } from "./codec.ts";
import type { Frame, PublishHead } from "./frame.ts";
import { Outgoing } from "./outgoing.ts";
import { reason } from "./reasons.ts";
import type { Talk } from "./talk.ts";
import { type Told, topicText } from "./told.ts";
import { type Receiver, Upstream } from "./upstream.ts";
import type { Wire } from "./wire.ts";

const requestTopic = "/provision/request";
const responseTopic = "/provision/response";

interface Asked {
  readonly request: ProvisionRequest;
  readonly protobuf: boolean;
}

/** A connection of somebody who is no device yet: it may ask to become one, and nothing else (device-api 6). */
export class ProvisionTalk implements Talk, Receiver {
  readonly about = undefined;
  readonly ackInvalid = false;
  readonly #wire: Wire;
  readonly #up: Upstream;
  readonly #outgoing: Outgoing;
  readonly #closed = new AbortController();
  /** Monotonic ms. */
  #endsAt = Number.POSITIVE_INFINITY;
  #qos: 0 | 1 = 1;

  constructor(wire: Wire) {
    this.#wire = wire;
    this.#up = new Upstream(wire, this);
    const limits = {
      version: wire.version,
      ackMs: wire.common.limits.ackMs,
      receiveMaximum: 0xffff,
      maximumPacketSize: Number.POSITIVE_INFINITY,
    };
    this.#outgoing = new Outgoing(limits, (bytes) => wire.send(bytes));
  }

  get inFlight(): number {
    return this.#up.line.inFlight;
  }

  publish(bytes: Buffer, frame: Frame, head: PublishHead): void {
    this.#up.publish(bytes, frame, head);
  }

  tell(told: Told): void {
    if (topicText(told) !== requestTopic) {
      this.#up.pass(told.entry, reason.topic);
      this.#up.stop(reason.topic);
      return;
    }
    const asked = this.#read(told);
    if (asked === undefined) return;
    let reply: ProvisionReply | undefined;
    const done = this.#wire.common.onboarding.provision(asked.request, { signal: this.#closed.signal }).then((made) => {
      reply = made;
    });
    const run = this.#up.line.wait(told.entry, done, told.payload.length);
    void done.then(
      () => this.#up.line.after(run, () => this.#answer(reply as ProvisionReply, asked.protobuf)),
      (error: unknown) => this.#wire.common.log.debug("provisioning failed", { error }),
    );
  }

  /** JSON first, then Protobuf; a request that can be read and lacks something ends the connection. */
  #read(told: Told): Asked | undefined {
    const { onboarding } = this.#wire.common;
    try {
      return { request: onboarding.readProvisionRequest(told.payload), protobuf: false };
    } catch (error) {
      const fault = asFault(error);
      if (fault.code !== "onboarding.json") return this.#refuse(told, fault);
    }
    let text: Uint8Array;
    try {
      text = provisionRequestText(told.payload);
    } catch (cause) {
      throw new Fault("invalid", "mqtt.payload", "a provisioning request is neither JSON nor Protobuf", { cause });
    }
    try {
      return { request: onboarding.readProvisionRequest(text), protobuf: true };
    } catch (error) {
      return this.#refuse(told, asFault(error));
    }
  }

  #refuse({ entry }: Told, fault: Fault): undefined {
    if (!isFault(fault) || fault.kind !== "invalid") throw fault;
    this.#up.pass(entry, reason.implementation);
    this.#up.stop(reason.implementation);
  }

  #answer(reply: ProvisionReply, protobuf: boolean): void {
    const payload = protobuf ? provisionReplyBytes(reply) : Buffer.from(JSON.stringify(reply));
    const now = this.#wire.common.world.elapsed();
    this.#endsAt = now + this.#wire.common.limits.lingerMs;
    this.#outgoing.post({ topic: responseTopic, payload, qos: this.#qos }, now);
  }

  subscribe({ messageId, subscriptions }: ISubscribePacket): void {
    const refused = this.#wire.version === 5 ? reason.filter : 0x80;
    const codes = subscriptions.map(({ topic, qos }) => {
      if (topic !== responseTopic) return refused;
      this.#qos = qos === 0 ? 0 : 1;
      return this.#qos;
    });
    this.#wire.send(suback(this.#wire.version, messageId as number, codes));
  }

  unsubscribe({ messageId, unsubscriptions }: IUnsubscribePacket): void {
    const codes = unsubscriptions.map((topic) => (topic === responseTopic ? reason.success : reason.noSubscription));
    this.#wire.send(unsuback(this.#wire.version, messageId as number, codes));
  }

  release(packetId: number): void {
    this.#up.release(packetId);
  }

  confirm(packetId: number): void {
    this.#outgoing.confirm(packetId);
  }

  ping(): void {}

  tick(now: number): void {
    this.#outgoing.tick(now);
    if (now >= this.#endsAt) this.#wire.end(undefined);
  }

  close(): void {
    this.#up.line.close();
    this.#outgoing.close();
    this.#closed.abort(new Fault("unavailable", "mqtt.closed", "the connection ended before it was answered"));
  }
}
