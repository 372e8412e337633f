import { asFault, type Fault } from "@heddle/plugin-sdk";
import {
  AckLine,
  type AckLineOwner,
  acknowledgements,
  type Entry,
  entryOf,
  isQos2,
  needingAnswer,
  packetIdOf,
  withReason,
} from "./ack-line.ts";
import { TopicAliases } from "./aliases.ts";
import { pubcomp, readPacket } from "./codec.ts";
import type { Frame, PublishHead } from "./frame.ts";
import { mostReceived } from "./limits.ts";
import { reason } from "./reasons.ts";
import type { Meta, Told } from "./told.ts";
import { type Verdict, verdictOf } from "./verdicts.ts";
import type { Wire } from "./wire.ts";

/** Who is told what was published. */
export interface Receiver {
  /** A throw is the refusal of the message. */
  tell(told: Told): void;
  readonly ackInvalid: boolean;
  /** Says what must be said before the connection ends over this fault. */
  beforeEnd?(fault: Fault): void;
}

/** From a client to the platform: publishes in their order, and how each is acknowledged. */
export class Upstream implements AckLineOwner {
  readonly line: AckLine;
  readonly #wire: Wire;
  readonly #receiver: Receiver;
  readonly #aliases: TopicAliases | undefined;
  /** QoS 2 ids between PUBLISH and PUBREL. */
  #received: Set<number> | undefined;

  constructor(wire: Wire, receiver: Receiver) {
    this.line = new AckLine(this, wire.common.budget);
    this.#wire = wire;
    this.#receiver = receiver;
    if (wire.version === 5) this.#aliases = new TopicAliases(wire.common.limits.topicAliases);
  }

  publish(bytes: Buffer, frame: Frame, head: PublishHead): void {
    this.#wire.common.counts.received++;
    const { qos, packetId, topic, topicEnd } = head;
    const entry = entryOf(packetId, qos);
    if (qos === 2 && !this.#isNew(packetId)) return void this.line.pass(entry);
    const told =
      head.properties || topic === topicEnd
        ? this.#unfold(bytes.subarray(frame.start, frame.end), entry)
        : {
            topic: bytes,
            from: topic,
            to: topicEnd,
            payload: bytes.subarray(head.payload, frame.end),
            entry,
            meta: undefined,
          };
    if (told === undefined) return;
    try {
      this.#receiver.tell(told);
    } catch (error) {
      this.#refuseNow(told.entry, asFault(error));
    }
  }

  /** PUBREL: the id may be used for the next message. */
  release(packetId: number): void {
    const known = this.#received?.delete(packetId) ?? false;
    this.#wire.send(pubcomp(this.#wire.version, packetId, known ? reason.success : reason.unknownId));
  }

  /** Acknowledged with this reason, in its turn. */
  pass(entry: Entry, reasonCode: number): void {
    this.#forget(entry);
    this.line.pass(withReason(entry, reasonCode));
  }

  /** The connection ends with this reason when what came before is acknowledged; nothing more is read. */
  stop(reasonCode: number | undefined): undefined {
    this.#wire.deafen();
    this.line.end(reasonCode);
  }

  acknowledge(entries: readonly Entry[]): void {
    const bytes = acknowledgements(entries, this.#wire.version === 5);
    if (bytes === undefined) return;
    this.#wire.common.counts.acknowledged += needingAnswer(entries);
    this.#wire.send(bytes);
  }

  refused(entries: readonly Entry[], fault: Fault): void {
    const acknowledged: Entry[] = [];
    for (const entry of entries) {
      const { ack, end } = this.#verdict(entry, fault);
      if (ack !== undefined) acknowledged.push(withReason(entry, ack));
      if (end === undefined) continue;
      this.acknowledge(acknowledged);
      return this.#endOver(fault, end);
    }
    this.acknowledge(acknowledged);
  }

  end(reasonCode: number | undefined): void {
    this.#wire.end(reasonCode);
  }

  eased(): void {
    this.#wire.readOn();
  }

  /** False for the repetition of a QoS 2 message that has not been released. */
  #isNew(packetId: number): boolean {
    this.#received ??= new Set();
    if (this.#received.has(packetId)) return false;
    if (this.#received.size >= mostReceived) {
      this.stop(reason.receiveMaximum);
      return false;
    }
    this.#received.add(packetId);
    return true;
  }

  /** Version 5: a publish with properties, or with an alias in the place of its topic. */
  #unfold(frame: Buffer, entry: Entry): Told | undefined {
    const packet = this.#wire.version === 5 ? readPacket(5, frame) : undefined;
    if (packet?.cmd !== "publish") return this.stop(reason.malformed);
    const alias: unknown = packet.properties?.topicAlias;
    let topic: Buffer | undefined = Buffer.from(packet.topic);
    if (alias !== undefined) {
      if (typeof alias !== "number" || !this.#aliases!.allows(alias)) return this.stop(reason.alias);
      if (topic.length > 0) this.#aliases!.set(alias, topic);
      else topic = this.#aliases!.get(alias);
    }
    if (topic === undefined || topic.length === 0) return this.stop(reason.protocolError);
    const meta = userMeta(packet.properties?.userProperties);
    return { topic, from: 0, to: topic.length, payload: packet.payload as Buffer, entry, meta };
  }

  #refuseNow(entry: Entry, fault: Fault): void {
    const { ack, end } = this.#verdict(entry, fault);
    if (ack !== undefined) this.line.pass(withReason(entry, ack));
    if (end === undefined) return;
    this.#wire.deafen();
    this.line.finally(() => this.#endOver(fault, end));
  }

  #endOver(fault: Fault, end: number | "plain"): void {
    this.#receiver.beforeEnd?.(fault);
    this.#wire.end(end === "plain" ? undefined : end);
  }

  #verdict(entry: Entry, fault: Fault): Verdict {
    this.#wire.common.counts.refused++;
    const { version } = this.#wire;
    const verdict = verdictOf(fault, {
      version,
      qos0: packetIdOf(entry) === 0,
      ackInvalid: this.#receiver.ackInvalid,
    });
    if (verdict.ack !== undefined) this.#forget(entry);
    return verdict;
  }

  /** A PUBREC with an error ends the exchange in version 5: no PUBREL will come (MQTT 5.0, 4.3.3). */
  #forget(entry: Entry): void {
    if (isQos2(entry) && this.#wire.version === 5) this.#received?.delete(packetIdOf(entry));
  }
}

/** User properties travel as metadata; the prefix keeps them from passing for the platform's own. */
function userMeta(properties: Readonly<Record<string, string | string[]>> | undefined): Meta | undefined {
  if (properties === undefined) return undefined;
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [`mqtt_${name}`, String(value)]));
}
