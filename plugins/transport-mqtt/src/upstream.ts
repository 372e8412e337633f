import { asFault, Fault, type Session } from "@heddle/plugin-sdk";
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
import type { Downstream } from "./downstream.ts";
import type { Frame, PublishHead } from "./frame.ts";
import { mostCalls, mostReceived } from "./limits.ts";
import { type CustomTopics, profileTopics } from "./profile-topics.ts";
import { reason } from "./reasons.ts";
import { asksSessionLimits, attributesText, requestMembers, sessionLimitsText, wantedAttributes } from "./requests.ts";
import { findTopic, type KnownTopic, requestIdOf, v1 } from "./topics.ts";
import type { Wire } from "./wire.ts";

type Meta = Readonly<Record<string, string>>;

/** One publish with its topic and payload, wherever they came from. */
interface Told {
  readonly topic: Buffer;
  readonly from: number;
  readonly to: number;
  readonly payload: Buffer;
  readonly entry: Entry;
  meta: Meta | undefined;
}

/** From one device to the platform: publishes, their acknowledgements, calls. */
export class Upstream implements AckLineOwner {
  readonly line: AckLine;
  readonly #wire: Wire;
  readonly #session: Session;
  readonly #down: Downstream;
  readonly #aliases: TopicAliases | undefined;
  /** QoS 2 ids between PUBLISH and PUBREL. */
  #received: Set<number> | undefined;
  /** The newest call of each id that waits for its reply. */
  #calls: Map<number, object> | undefined;
  /** The same topic again gives the same object, which saves work further on. */
  #topicMeta: Meta | undefined;

  constructor(wire: Wire, session: Session, down: Downstream) {
    this.line = new AckLine(this, wire.common.budget);
    this.#wire = wire;
    this.#session = session;
    this.#down = down;
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
    if (told !== undefined) this.#tell(told);
  }

  /** PUBREL: the id may be used for the next message. */
  release(packetId: number): void {
    const known = this.#received?.delete(packetId) ?? false;
    this.#wire.send(pubcomp(this.#wire.version, packetId, known ? reason.success : reason.unknownId));
  }

  acknowledge(entries: readonly Entry[]): void {
    const bytes = acknowledgements(entries, this.#wire.version === 5);
    if (bytes === undefined) return;
    this.#wire.common.counts.acknowledged += needingAnswer(entries);
    this.#wire.send(bytes);
  }

  refused(entries: readonly Entry[], fault: Fault): void {
    const verdicts = entries.map((entry) => this.#verdict(entry, fault));
    const stop = verdicts.indexOf(undefined);
    this.acknowledge((stop < 0 ? verdicts : verdicts.slice(0, stop)) as Entry[]);
    if (stop >= 0) this.end(reasonOfFault(fault));
  }

  end(reasonCode: number): void {
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
      this.#stop(reason.receiveMaximum);
      return false;
    }
    this.#received.add(packetId);
    return true;
  }

  /** Version 5: a publish with properties, or with an alias in the place of its topic. */
  #unfold(frame: Buffer, entry: Entry): Told | undefined {
    const packet = this.#wire.version === 5 ? readPacket(5, frame) : undefined;
    if (packet?.cmd !== "publish") return this.#stop(reason.malformed);
    const alias: unknown = packet.properties?.topicAlias;
    let topic: Buffer | undefined = Buffer.from(packet.topic);
    if (alias !== undefined) {
      if (typeof alias !== "number" || !this.#aliases!.allows(alias)) return this.#stop(reason.alias);
      if (topic.length > 0) this.#aliases!.set(alias, topic);
      else topic = this.#aliases!.get(alias);
    }
    if (topic === undefined || topic.length === 0) return this.#stop(reason.protocolError);
    const meta = userMeta(packet.properties?.userProperties);
    return { topic, from: 0, to: topic.length, payload: packet.payload as Buffer, entry, meta };
  }

  #tell(told: Told): void {
    try {
      const { custom } = profileTopics(this.#session.device);
      const topic = custom === undefined ? findTopic(told.topic, told.from, told.to) : this.#customTopic(told, custom);
      switch (topic?.operation) {
        case "telemetry":
          this.line.wait(told.entry, this.#session.telemetry(told.payload, told.meta), told.payload.length);
          break;
        case "attributes":
          this.line.wait(told.entry, this.#session.attributes(told.payload, told.meta), told.payload.length);
          break;
        case "attributeRequest":
          this.#readAttributes(told, topic);
          break;
        case "rpcReply":
          this.line.wait(told.entry, this.#session.rpcReply(idOf(told, topic), told.payload), told.payload.length);
          break;
        case "clientRpc":
          this.#call(told, topic);
          break;
        default:
          this.#unknown(told, topic);
      }
    } catch (error) {
      this.#refuseNow(told.entry, asFault(error));
    }
  }

  /** The profile's own filters come first; the standard topics that they replace are unknown then (device-api 2.2). */
  #customTopic(told: Told, custom: CustomTopics): KnownTopic | undefined {
    const text = textOf(told);
    const known = findTopic(told.topic, told.from, told.to);
    if (known?.operation === "gateway" || isPattern(text)) return known;
    const matched = custom.attributes(text) ? attributesTopic : custom.telemetry(text) ? telemetryTopic : undefined;
    const found = matched ?? known;
    if (found?.operation !== "telemetry" && found?.operation !== "attributes") return found;
    if (matched === undefined && found.family === v1) return undefined;
    if (this.#topicMeta?.["mqttTopic"] !== text) this.#topicMeta = { mqttTopic: text };
    told.meta = told.meta === undefined ? this.#topicMeta : { ...told.meta, ...this.#topicMeta };
    return found;
  }

  #readAttributes(told: Told, topic: KnownTopic): void {
    const requestId = idOf(told, topic);
    const wanted = wantedAttributes(requestMembers(told.payload));
    this.#down.remember("attributeResponse", topic.family);
    const reading = this.#session.readAttributes(wanted, { signal: this.#session.closed });
    const run = this.line.pass(told.entry);
    const answered = reading.then(
      (reply) => {
        if (requestId < 0) return;
        this.line.after(run, () => this.#down.answer("attributeResponse", requestId, attributesText(reply)));
      },
      (error: unknown) => {
        // A device above its rate limit is disconnected (device-api 2.11); other trouble leaves it without an answer.
        if (asFault(error).kind === "exhausted") this.#stop(reason.implementation);
        throw error;
      },
    );
    this.#wire.track(answered, "attributes not read");
  }

  #call(told: Told, topic: KnownTopic): void {
    const requestId = idOf(told, topic);
    if (topic.family === v1 && asksSessionLimits(told.payload)) return this.#tellLimits(told, requestId);
    this.#calls ??= new Map();
    if (this.#calls.size >= mostCalls && !this.#calls.has(requestId)) {
      throw new Fault("exhausted", "mqtt.calls", `${mostCalls} calls of the device wait for an answer, the limit`);
    }
    const { accepted, reply } = this.#session.rpc(
      { requestId, payload: told.payload },
      { signal: this.#session.closed },
    );
    this.#down.remember("rpcResponse", topic.family);
    const run = this.line.wait(told.entry, accepted, told.payload.length);
    this.#calls.set(requestId, run);
    // A newer call with this id has taken the place of this one (device-api 2.6).
    const answer = (json: string) => {
      if (this.#calls!.get(requestId) !== run) return;
      this.#calls!.delete(requestId);
      this.line.after(run, () => this.#down.answer("rpcResponse", requestId, json));
    };
    reply.then(answer, (error: unknown) => {
      if (asFault(error).code === "rpc.timeout") return answer('{"error":"timeout"}');
      if (this.#calls!.get(requestId) === run) this.#calls!.delete(requestId);
    });
  }

  #tellLimits({ entry }: Told, requestId: number): void {
    const { maxPacket, inFlight } = this.#wire.common.limits;
    this.#session.touch();
    this.#down.remember("rpcResponse", v1);
    const text = sessionLimitsText({ payload: maxPacket, inFlight }, this.#session.device.gateway);
    this.line.after(this.line.pass(entry), () => this.#down.answer("rpcResponse", requestId, text));
  }

  /** Acknowledged, so that a device with outdated topics stays connected (device-api 2.4.5). */
  #unknown(told: Told, topic: KnownTopic | undefined): void {
    if (isPattern(textOf(told))) return void this.#stop(reason.malformed);
    this.#session.touch();
    // The gateway API of a device that is none: ignored, not even acknowledged (device-api 2.9).
    if (topic?.operation === "gateway" && !this.#session.device.gateway) return;
    this.#forget(told.entry);
    this.line.pass(withReason(told.entry, reason.topic));
  }

  #refuseNow(entry: Entry, fault: Fault): void {
    const verdict = this.#verdict(entry, fault);
    if (verdict !== undefined) this.line.pass(verdict);
    else this.#stop(reasonOfFault(fault));
  }

  /** How a message that was not taken is acknowledged; undefined when the connection ends instead (device-api 2.4.2, 2.4.4). */
  #verdict(entry: Entry, fault: Fault): Entry | undefined {
    this.#wire.common.counts.refused++;
    const code = reasonOfFault(fault);
    if (packetIdOf(entry) === 0 || code === reason.implementation) return undefined;
    const mayStay =
      this.#wire.version === 5 || (code === reason.payload && profileTopics(this.#session.device).ackInvalid);
    if (!mayStay) return undefined;
    this.#forget(entry);
    return withReason(entry, code);
  }

  /** A PUBREC with an error ends the exchange in version 5: no PUBREL will come (MQTT 5.0, 4.3.3). */
  #forget(entry: Entry): void {
    if (isQos2(entry) && this.#wire.version === 5) this.#received?.delete(packetIdOf(entry));
  }

  #stop(reasonCode: number): undefined {
    this.#wire.deafen();
    this.line.end(reasonCode);
  }
}

const attributesTopic: KnownTopic = { bytes: Buffer.alloc(0), operation: "attributes", family: v1 };
const telemetryTopic: KnownTopic = { bytes: Buffer.alloc(0), operation: "telemetry", family: v1 };

function reasonOfFault({ kind }: Fault): number {
  if (kind === "invalid") return reason.payload;
  return kind === "denied" ? reason.notAuthorised : reason.implementation;
}

function textOf({ topic, from, to }: Told): string {
  return topic.toString("utf8", from, to);
}

const isPattern = (topic: string) => topic.includes("+") || topic.includes("#");

function idOf({ topic, from, to }: Told, { bytes }: KnownTopic): number {
  const text = topic.toString("utf8", from + bytes.length, to);
  const id = requestIdOf(text);
  if (id !== undefined) return id;
  throw new Fault(
    "invalid",
    "mqtt.payload",
    `a request id is a 32-bit integer, not ${JSON.stringify(text.slice(0, 20))}`,
  );
}

/** User properties travel as metadata; the prefix keeps them from passing for the platform's own. */
function userMeta(properties: Readonly<Record<string, string | string[]>> | undefined): Meta | undefined {
  if (properties === undefined) return undefined;
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [`mqtt_${name}`, String(value)]));
}
