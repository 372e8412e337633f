import { codecsOf, fixedCodec, jsonCodec, type PayloadCodec } from "@heddle/payload-codec";
import type { CallOptions, RpcRequest, Session } from "@heddle/plugin-sdk";
import type { ISubscribePacket, IUnsubscribePacket } from "mqtt-packet";
import { suback, unsuback } from "./codec.ts";
import { type Message, Outgoing } from "./outgoing.ts";
import { profileTopics } from "./profile-topics.ts";
import { reason } from "./reasons.ts";
import { Subscriptions } from "./subscriptions.ts";
import { type Down, downTopics, type Family, type Single, singleTopics, v1 } from "./topics.ts";
import type { Wire } from "./wire.ts";

/** Filters beyond the known ones that a device may hold. */
const mostCustomFilters = 100;

export interface ClientWindow {
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
}

/** From the platform to one device: subscriptions, answers, pushes. */
export class Downstream {
  readonly #wire: Wire;
  readonly #session: Session;
  readonly #outgoing: Outgoing;
  readonly #subscriptions = new Subscriptions();
  /** What is being written is large because the device asked for it. */
  #patient = false;
  /** Filters of the profile's own pattern (device-api 2.12). */
  #custom: Set<string> | undefined;
  /** The family used last, by what is published (device-api 2.2). */
  readonly #families: Record<Down, Family> = { attributes: v1, attributeResponse: v1, rpcRequest: v1, rpcResponse: v1 };

  /** Further filters for what the platform sends unasked. */
  takes: ((filter: string) => boolean) | undefined;

  constructor(wire: Wire, session: Session, window: ClientWindow) {
    this.#wire = wire;
    this.#session = session;
    const limits = { version: wire.version, ackMs: wire.common.limits.ackMs, ...window };
    this.#outgoing = new Outgoing(limits, (bytes) => {
      wire.common.counts.sent++;
      wire.send(bytes, this.#patient);
    });
  }

  /** The next answers of this kind go out in this family. */
  remember(down: Down, family: Family): void {
    this.#families[down] = family;
  }

  /** An answer is written whether or not its topic is subscribed (device-api 2.3). */
  answer(down: Down, requestId: number, write: (by: PayloadCodec) => Uint8Array): void {
    this.#post(() => this.#message(down, String(requestId), write));
  }

  /** On one of the topics that have one form. `patient`: a device that reads it slowly is not too slow. */
  publish(
    single: Single,
    payload: Uint8Array,
    how: { readonly topic?: string; readonly patient?: boolean } = {},
  ): void {
    this.#patient = how.patient ?? false;
    this.#post(() => this.#singleMessage(single, payload, how.topic));
    this.#patient = false;
  }

  /** The same, followed until it is written or, with `confirm`, acknowledged. */
  deliver(
    single: Single,
    payload: Uint8Array,
    { signal, confirm, topic }: CallOptions & { readonly confirm: boolean; readonly topic?: string },
  ): Promise<void> {
    const wanted = { confirm, now: this.#wire.common.world.elapsed(), signal };
    return this.#outgoing.send(this.#singleMessage(single, payload, topic), wanted);
  }

  #post(make: () => Message): void {
    try {
      this.#outgoing.post(make(), this.#wire.common.world.elapsed());
    } catch (error) {
      this.#wire.common.log.debug("answer not sent", { deviceId: this.#session.device.deviceId, error });
    }
  }

  async deliverAttributes(json: string, { signal }: CallOptions): Promise<void> {
    const wanted = { confirm: false, now: this.#wire.common.world.elapsed(), signal };
    await this.#outgoing.send(
      this.#message("attributes", "", (by) => by.attributesUpdate(json)),
      wanted,
    );
  }

  async deliverRpc(request: RpcRequest, { signal }: CallOptions): Promise<void> {
    const wanted = { confirm: true, now: this.#wire.common.world.elapsed(), signal };
    await this.#outgoing.send(
      this.#message("rpcRequest", String(request.requestId), (by) => by.rpcRequest(request)),
      wanted,
    );
  }

  /** PUBACK. */
  confirm(packetId: number): void {
    if (this.#outgoing.confirm(packetId)) this.#session.touch();
  }

  subscribe({ messageId, subscriptions }: ISubscribePacket): void {
    const codes: number[] = [];
    const begun = new Set<"attributes" | "rpc">();
    for (const { topic, qos } of subscriptions) {
      const granted = qos === 0 ? 0 : 1;
      const command = this.takes?.(topic) === true;
      const known = this.#subscriptions.add(command ? singleTopics.sparkplugCommand : topic, granted);
      if (command) begun.add("attributes").add("rpc");
      if (known?.down !== undefined) this.remember(known.down, this.#familyOf(known.down, known.family));
      const down = known === undefined ? this.#addCustom(topic) : known.down;
      codes.push(known === undefined && down === undefined ? this.#refusedFilter : granted);
      const registered = down === undefined ? undefined : registration[down];
      if (registered !== undefined) begun.add(registered);
    }
    this.#wire.send(suback(this.#wire.version, messageId!, codes));
    this.#register(begun, true);
  }

  unsubscribe({ messageId, unsubscriptions }: IUnsubscribePacket): void {
    const ended = new Set<"attributes" | "rpc">();
    const codes = unsubscriptions.map((filter) => {
      const known = this.#subscriptions.remove(filter);
      const down = known === undefined && this.#custom?.delete(filter) === true ? "attributes" : known?.down;
      const registered = down === undefined ? undefined : registration[down];
      if (registered !== undefined) ended.add(registered);
      return known === undefined && down === undefined ? reason.noSubscription : reason.success;
    });
    this.#wire.send(unsuback(this.#wire.version, messageId!, codes));
    this.#register(ended, false);
  }

  tick(now: number): void {
    this.#outgoing.tick(now);
  }

  close(): void {
    this.#outgoing.close();
  }

  get #refusedFilter(): number {
    return this.#wire.version === 5 ? reason.filter : 0x80;
  }

  /** Subscribing to answers does not change where they go: the request decides that. */
  #familyOf(down: Down, subscribed: Family): Family {
    return registration[down] === undefined ? this.#families[down] : subscribed;
  }

  /** A custom filter asks for attribute updates, which are published on the standard topic (device-api 2.12). */
  #addCustom(filter: string): Down | undefined {
    if (!profileTopics(this.#session.device).custom?.attributesSubscribe(filter)) return undefined;
    this.#custom ??= new Set();
    if (this.#custom.size >= mostCustomFilters && !this.#custom.has(filter)) return undefined;
    this.#custom.add(filter);
    this.remember("attributes", v1);
    return "attributes";
  }

  #register(what: ReadonlySet<"attributes" | "rpc">, on: boolean): void {
    const call = { signal: this.#session.closed };
    for (const one of what) this.#wire.track(this.#session.subscribe(one, on, call), "subscription not registered");
    if (what.size === 0) this.#session.touch();
  }

  #message(down: Down, id: string, write: (by: PayloadCodec) => Uint8Array): Message {
    const family = this.#families[down];
    const qos = this.#subscriptions.qosOf(down, family);
    return { topic: downTopics[down][family] + id, payload: write(this.#codec(family)), qos };
  }

  #singleMessage(single: Single, payload: Uint8Array, topic: string = singleTopics[single]): Message {
    return { topic, payload, qos: this.#subscriptions.qosOfSingle(single) };
  }

  #codec(family: Family): PayloadCodec {
    if (family === 2) return jsonCodec;
    if (family === 3) return fixedCodec;
    const { profile, longTopicsDown } = codecsOf(this.#session.device);
    return family === v1 ? longTopicsDown : profile;
  }
}

/** The server side takes part in these; the other filters only record a QoS. */
const registration: Partial<Record<Down, "attributes" | "rpc">> = { attributes: "attributes", rpcRequest: "rpc" };
