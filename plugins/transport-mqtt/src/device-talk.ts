import { codecsOf } from "@heddle/payload-codec";
import type { CallOptions, Downlinks, Fault, RpcRequest, Session } from "@heddle/plugin-sdk";
import type { IConnectPacket, ISubscribePacket, IUnsubscribePacket } from "mqtt-packet";
import { codecUp, DeviceRequests } from "./device-requests.ts";
import { Downstream } from "./downstream.ts";
import type { Frame, PublishHead } from "./frame.ts";
import { Gateway } from "./gateway/gateway.ts";
import { PackageChunks } from "./package-chunks.ts";
import { type CustomTopics, profileTopics } from "./profile-topics.ts";
import { reason } from "./reasons.ts";
import { deathOf, isSparkplug } from "./sparkplug/connect-rules.ts";
import { EdgeNode } from "./sparkplug/edge-node.ts";
import type { Talk } from "./talk.ts";
import { idOf, isPattern, type Meta, type Told, topicText } from "./told.ts";
import { type ChunkTopic, chunkTopicOf, findTopic, type KnownTopic, v1 } from "./topics.ts";
import { type Receiver, Upstream } from "./upstream.ts";
import type { Wire } from "./wire.ts";

/** A device's connection: what it publishes finds its operation by the topic (device-api 2.2). */
export class DeviceTalk implements Talk, Receiver, Downlinks {
  readonly #wire: Wire;
  readonly #session: Session;
  readonly #up: Upstream;
  readonly #down: Downstream;
  /** Made when they are needed first: most devices only tell values. */
  #requests: DeviceRequests | undefined;
  #chunks: PackageChunks | undefined;
  #gateway: Gateway | undefined;
  /** The same topic again gives the same object, which saves work further on. */
  #topicMeta: Meta | undefined;

  readonly #node: EdgeNode | undefined;

  constructor(wire: Wire, session: Session, connect: IConnectPacket) {
    this.#wire = wire;
    this.#session = session;
    const { receiveMaximum, maximumPacketSize } = connect.properties ?? {};
    this.#down = new Downstream(wire, session, {
      receiveMaximum: receiveMaximum || 0xffff,
      maximumPacketSize: maximumPacketSize || Number.POSITIVE_INFINITY,
    });
    this.#up = new Upstream(wire, this);
    const death = isSparkplug(session.device) ? deathOf(connect) : undefined;
    if (death === undefined) return;
    const node = new EdgeNode(wire, { session, up: this.#up, down: this.#down, death });
    this.#node = node;
    this.#down.takes = (filter) => node.takes(filter);
  }

  get about(): string {
    return this.#session.device.deviceId;
  }

  get inFlight(): number {
    return this.#up.line.inFlight;
  }

  get ackInvalid(): boolean {
    return profileTopics(this.#session.device).ackInvalid;
  }

  publish(bytes: Buffer, frame: Frame, head: PublishHead): void {
    this.#up.publish(bytes, frame, head);
  }

  tell(told: Told): void {
    const { device } = this.#session;
    if (this.#node?.tell(told, topicText(told)) === true) return;
    const { custom } = profileTopics(device);
    const topic = custom === undefined ? findTopic(told.topic, told.from, told.to) : this.#customTopic(told, custom);
    if (topic === undefined) return this.#rare(told);
    const { operation, family } = topic;
    const { line } = this.#up;
    if (operation === "gateway") return this.#gatewayMessage(told);
    const codec = codecUp(codecsOf(device), family);
    switch (operation) {
      case "telemetry":
        line.wait(told.entry, this.#session.telemetry(codec.telemetry(told.payload), told.meta), told.payload.length);
        return;
      case "attributes":
        line.wait(told.entry, this.#session.attributes(codec.attributes(told.payload), told.meta), told.payload.length);
        return;
      case "rpcReply":
        line.wait(
          told.entry,
          this.#session.rpcReply(idOf(told, topic), codec.rpcReply(told.payload)),
          told.payload.length,
        );
        return;
      case "attributeRequest":
        return this.#asking.readAttributes(told, topic, codec);
      case "clientRpc":
        return this.#asking.call(told, topic, codec);
      case "claim":
        return this.#asking.claim(told, codec);
    }
  }

  get #asking(): DeviceRequests {
    this.#requests ??= new DeviceRequests(this.#wire, { session: this.#session, up: this.#up, down: this.#down });
    return this.#requests;
  }

  /** The profile's own filters come first; the standard topics that they replace are unknown then (device-api 2.2). */
  #customTopic(told: Told, custom: CustomTopics): KnownTopic | undefined {
    const text = topicText(told);
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

  #rare(told: Told): void {
    const text = topicText(told);
    if (isPattern(text)) return this.#up.stop(reason.malformed);
    const chunk = chunkTopicOf(text);
    if (chunk !== undefined) return this.#chunk(told, chunk);
    // Acknowledged, so that a device with outdated topics stays connected (device-api 2.4.5).
    this.#session.touch();
    this.#up.pass(told.entry, reason.topic);
  }

  #chunk(told: Told, topic: ChunkTopic): void {
    this.#chunks ??= new PackageChunks(this.#wire, { session: this.#session, up: this.#up, down: this.#down });
    this.#chunks.request(told, topic);
  }

  /** The gateway API of a device that is none: ignored, not even acknowledged (device-api 2.9). */
  #gatewayMessage(told: Told): void {
    this.#session.touch();
    if (!this.#session.device.gateway) return;
    this.#gateway ??= new Gateway(this.#wire, { session: this.#session, up: this.#up, down: this.#down });
    this.#gateway.tell(told);
  }

  beforeEnd(fault: Fault): void {
    if (fault.code === "mqtt.package") this.#down.publish("firmwareError", Buffer.from(fault.message));
  }

  release(packetId: number): void {
    this.#up.release(packetId);
  }

  confirm(packetId: number): void {
    this.#down.confirm(packetId);
  }

  subscribe(packet: ISubscribePacket): void {
    this.#down.subscribe(packet);
  }

  unsubscribe(packet: IUnsubscribePacket): void {
    this.#down.unsubscribe(packet);
  }

  ping(): void {
    this.#session.touch();
  }

  deliverAttributes(json: string, call: CallOptions): Promise<void> {
    return (this.#node ?? this.#down).deliverAttributes(json, call);
  }

  deliverRpc(request: RpcRequest, call: CallOptions): Promise<void> {
    return (this.#node ?? this.#down).deliverRpc(request, call);
  }

  tick(now: number): void {
    this.#down.tick(now);
    this.#gateway?.tick(now);
  }

  close(): void {
    this.#up.line.close();
    this.#down.close();
    this.#gateway?.close();
    this.#node?.close();
    this.#wire.common.dispose(this.#session);
  }
}

const attributesTopic: KnownTopic = { bytes: Buffer.alloc(0), operation: "attributes", family: v1 };
const telemetryTopic: KnownTopic = { bytes: Buffer.alloc(0), operation: "telemetry", family: v1 };
