import type { CallOptions, RpcRequest, Session } from "@heddle/plugin-sdk";
import type { ISubscribePacket, IUnsubscribePacket } from "mqtt-packet";
import { suback, unsuback } from "./codec.ts";
import { Outgoing } from "./outgoing.ts";
import { profileTopics } from "./profile-topics.ts";
import { reason } from "./reasons.ts";
import { Subscriptions } from "./subscriptions.ts";
import { type Down, downTopics, type Family, v1 } from "./topics.ts";
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
  /** Filters of the profile's own pattern (device-api 2.12). */
  #custom: Set<string> | undefined;
  /** The family used last, by what is published (device-api 2.2). */
  readonly #families: Record<Down, Family> = { attributes: v1, attributeResponse: v1, rpcRequest: v1, rpcResponse: v1 };

  constructor(wire: Wire, session: Session, window: ClientWindow) {
    this.#wire = wire;
    this.#session = session;
    const limits = { version: wire.version, ackMs: wire.common.limits.ackMs, ...window };
    this.#outgoing = new Outgoing(limits, (bytes) => {
      wire.common.counts.sent++;
      wire.send(bytes);
    });
  }

  /** The next answers of this kind go out in this family. */
  remember(down: Down, family: Family): void {
    this.#families[down] = family;
  }

  /** An answer is written whether or not its topic is subscribed (device-api 2.3). */
  answer(down: Down, requestId: number, payload: string): void {
    try {
      this.#outgoing.post(this.#message(down, String(requestId), payload), this.#wire.common.world.elapsed());
    } catch (error) {
      this.#wire.common.log.debug("answer not sent", { deviceId: this.#session.device.deviceId, error });
    }
  }

  deliverAttributes(json: string, { signal }: CallOptions): Promise<void> {
    const wanted = { confirm: false, now: this.#wire.common.world.elapsed(), signal };
    return this.#outgoing.send(this.#message("attributes", "", json), wanted);
  }

  deliverRpc({ requestId, method, params }: RpcRequest, { signal }: CallOptions): Promise<void> {
    const payload = `{"method":${JSON.stringify(method)},"params":${params}}`;
    const wanted = { confirm: true, now: this.#wire.common.world.elapsed(), signal };
    return this.#outgoing.send(this.#message("rpcRequest", String(requestId), payload), wanted);
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
      const known = this.#subscriptions.add(topic, granted);
      if (known !== undefined) this.remember(known.down, this.#familyOf(known.down, known.family));
      const down = known?.down ?? this.#addCustom(topic);
      codes.push(down === undefined ? this.#refusedFilter : granted);
      const registered = down === undefined ? undefined : registration[down];
      if (registered !== undefined) begun.add(registered);
    }
    this.#wire.send(suback(this.#wire.version, messageId!, codes));
    this.#register(begun, true);
  }

  unsubscribe({ messageId, unsubscriptions }: IUnsubscribePacket): void {
    const ended = new Set<"attributes" | "rpc">();
    const codes = unsubscriptions.map((filter) => {
      const down =
        this.#subscriptions.remove(filter)?.down ?? (this.#custom?.delete(filter) ? "attributes" : undefined);
      const registered = down === undefined ? undefined : registration[down];
      if (registered !== undefined) ended.add(registered);
      return down === undefined ? reason.noSubscription : reason.success;
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

  #message(down: Down, id: string, payload: string) {
    const family = this.#families[down];
    return { topic: downTopics[down][family] + id, payload, qos: this.#subscriptions.qosOf(down, family) };
  }
}

/** The server side takes part in these; the other filters only record a QoS. */
const registration: Partial<Record<Down, "attributes" | "rpc">> = { attributes: "attributes", rpcRequest: "rpc" };
