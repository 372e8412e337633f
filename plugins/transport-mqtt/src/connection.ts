import type { Socket } from "node:net";
import {
  type CallOptions,
  type Downlinks,
  Fault,
  type RpcRequest,
  type Session,
  type SessionEnd,
} from "@heddle/plugin-sdk";
import type { IConnectPacket } from "mqtt-packet";
import { admit, type Refusal } from "./admission.ts";
import type { Waiter } from "./budget.ts";
import { connack, disconnect, pingresp, readConnect, readPacket, type Version } from "./codec.ts";
import type { Connections } from "./connections.ts";
import { Downstream } from "./downstream.ts";
import { type Frame, type PublishHead, packetType, readFrame, readPublish } from "./frame.ts";
import { closeMs, mostBehindConnect, replacedMs } from "./limits.ts";
import { Partial } from "./partial.ts";
import { chainVerifies, peerCertificate } from "./peer-certificate.ts";
import { reason } from "./reasons.ts";
import { Upstream } from "./upstream.ts";
import type { Wire } from "./wire.ts";

/** Scratch of all connections: a packet is read and handled in one go. */
const frame: Frame = { start: 0, first: 0, body: 0, end: 0 };
const head: PublishHead = { v5: false, qos: 0, packetId: 0, topic: 0, topicEnd: 0, payload: 0, properties: false };

/** `ending`: closing, what still arrives is thrown away. */
type State = "fresh" | "opening" | "open" | "ending" | "closed";

/** One socket: bytes to packets, packets to the two directions of its session, and its end. */
export class Connection implements Wire, Waiter, Downlinks {
  readonly common: Connections;
  readonly #socket: Socket;
  #state: State = "fresh";
  #version: Version = 4;
  #up: Upstream | undefined;
  #down: Downstream | undefined;
  #session: Session | undefined;
  #opening: AbortController | undefined;
  /** Monotonic ms: when the device was last heard or, while ending, when the end began. */
  #since: number;
  #keepAliveMs = 0;
  #rest: Partial | undefined;
  #paused = false;
  #deaf = false;
  #replaced = false;
  /** Calls to the platform that have not been answered. */
  #calls = 0;
  #out: Buffer[] | undefined;
  #outBytes = 0;

  constructor(socket: Socket, common: Connections) {
    this.#socket = socket;
    this.common = common;
    this.#since = common.world.elapsed();
  }

  get version(): Version {
    return this.#version;
  }

  receive(chunk: Buffer): void {
    if (this.#gone || this.#deaf) return;
    this.common.counts.inbound += chunk.length;
    if (this.#rest === undefined) return this.#take(chunk);
    this.#rest.append(chunk);
    this.#take(this.#rest.view);
  }

  /** Reads what it can and keeps the rest. */
  #take(bytes: Buffer): void {
    let used = bytes.length;
    try {
      used = this.#read(bytes);
    } catch (error) {
      this.#fail(error);
    }
    if (used === bytes.length || this.#gone || this.#deaf) this.#rest = undefined;
    else if (this.#rest === undefined || used > 0) this.#rest = new Partial(bytes.subarray(used));
  }

  /** How many bytes were handled. */
  #read(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "opening") this.#watchBehindConnect(bytes, at);
      if (this.#gone || this.#deaf || this.#state === "opening") return at;
      if (this.#congested) {
        this.#pause();
        return at;
      }
      frame.start = at;
      const found = readFrame(bytes, frame, this.common.limits.maxPacket);
      if (found === "partial") return at;
      if (found !== "whole") {
        this.end(reason.malformed);
        return bytes.length;
      }
      at = frame.end;
      if (this.#state === "fresh") this.#begin(bytes.subarray(frame.start, frame.end));
      else this.#handle(bytes);
    }
    return at;
  }

  /** A defect here or behind the platform's door ends this connection and no other. */
  #fail(error: unknown): void {
    this.common.log.error("packet not handled", { deviceId: this.#session?.device.deviceId, error });
    this.end(reason.leaving);
  }

  get #gone(): boolean {
    return this.#state === "ending" || this.#state === "closed";
  }

  get #congested(): boolean {
    const pending = (this.#up?.line.inFlight ?? 0) + this.#calls;
    return pending >= this.common.limits.inFlight || (this.#state === "open" && this.common.budget.full);
  }

  #handle(bytes: Buffer): void {
    this.#since = this.common.world.elapsed();
    const type = frame.first >> 4;
    if (type === packetType.publish) {
      head.v5 = this.#version === 5;
      if (readPublish(bytes, frame, head)) this.#up!.publish(bytes, frame, head);
      else this.end(reason.malformed);
    } else if (type === packetType.puback || type === packetType.pubrel) {
      const flags = type === packetType.puback ? 0 : 2;
      if ((frame.first & 0xf) !== flags || frame.end - frame.body < 2) return this.end(reason.malformed);
      const id = bytes.readUInt16BE(frame.body);
      if (type === packetType.puback) this.#down!.confirm(id);
      else this.#up!.release(id);
    } else this.#handleRare(type, bytes);
  }

  #handleRare(type: number, bytes: Buffer): void {
    switch (type) {
      case packetType.pingreq:
        if (frame.first !== 0xc0 || frame.end !== frame.body) return this.end(reason.malformed);
        this.#session!.touch();
        return this.send(pingresp);
      case packetType.subscribe:
      case packetType.unsubscribe: {
        const packet = readPacket(this.#version, bytes.subarray(frame.start, frame.end));
        if (packet === undefined || !((packet.messageId ?? 0) > 0)) return this.end(reason.malformed);
        if (packet.cmd === "subscribe" && packet.subscriptions.length > 0) return this.#down!.subscribe(packet);
        if (packet.cmd === "unsubscribe" && packet.unsubscriptions.length > 0) return this.#down!.unsubscribe(packet);
        return this.end(reason.protocolError);
      }
      case packetType.disconnect:
        return this.#finish();
      case packetType.pubrec:
      case packetType.pubcomp:
      case packetType.auth:
        // Nothing of ours asks for them (device-api 2.1).
        return;
      default:
        return this.end(type === packetType.connect ? reason.protocolError : reason.malformed);
    }
  }

  /** The first packet has to be a CONNECT; anything else gets no answer. */
  #begin(bytes: Buffer): void {
    const packet = bytes[0] === packetType.connect << 4 ? readConnect(bytes) : undefined;
    const certificate = peerCertificate(this.#socket);
    const level = packet?.protocolVersion ?? 4;
    const badId = level === 3 && !/^.{1,23}$/su.test(packet?.clientId ?? "");
    if (packet === undefined || badId || (certificate !== undefined && !chainVerifies(certificate))) {
      this.common.reject("malformed");
      return this.#finish();
    }
    this.#version = level;
    this.#state = "opening";
    this.#opening = new AbortController();
    const peer = `${this.#socket.remoteAddress ?? "?"}:${this.#socket.remotePort ?? 0}`;
    const arrival = { packet, certificate, peer, now: this.common.world.now() };
    admit(arrival, { sessions: this.common.sessions, down: this, signal: this.#opening.signal })
      .then((outcome) => {
        this.#opening = undefined;
        if ("why" in outcome) this.#refuse(outcome, packet, peer);
        else this.#open(outcome, packet);
      })
      .catch((error: unknown) => this.#fail(error));
  }

  #refuse(refusal: Refusal, { clean }: IConnectPacket, peer: string): void {
    if (this.#state !== "opening") return;
    this.common.reject(refusal.why);
    const { why, cause } = refusal;
    this.common.log.debug("connect refused", { peer, why, ...(cause === undefined ? {} : { error: cause }) });
    this.send(connack(this.#version, this.#version === 5 ? refusal.v5 : refusal.v3, !clean));
    this.end(refusal.disconnect);
  }

  #open(session: Session, { clean, keepalive, properties }: IConnectPacket): void {
    if (this.#state !== "opening") return this.common.dispose(session);
    const { inFlight, maxPacket, topicAliases } = this.common.limits;
    // "Session present" mirrors the flag, although no session is kept (device-api 1.7).
    const welcome = { receiveMaximum: inFlight, maximumPacketSize: maxPacket + 5, topicAliasMaximum: topicAliases };
    this.send(connack(this.#version, reason.success, !clean, welcome));
    this.#session = session;
    this.#down = new Downstream(this, session, {
      receiveMaximum: properties?.receiveMaximum || 0xffff,
      maximumPacketSize: properties?.maximumPacketSize || Number.POSITIVE_INFINITY,
    });
    this.#up = new Upstream(this, session, this.#down);
    this.#keepAliveMs = (keepalive ?? 0) * 1000;
    this.#since = this.common.world.elapsed();
    this.#state = "open";
    session.closed.addEventListener("abort", this, { once: true });
    if (session.closed.aborted) this.handleEvent();
    this.readOn();
  }

  /** Packets may come right behind the CONNECT; they wait here, so many and no more (device-api 2.1). */
  #watchBehindConnect(bytes: Buffer, from: number): void {
    const { maxPacket } = this.common.limits;
    if (bytes.length - from > maxPacket * 2) this.#pause();
    frame.start = from;
    for (let count = 0; readFrame(bytes, frame, maxPacket) === "whole"; frame.start = frame.end) {
      count++;
      if (count > mostBehindConnect) return this.end(reason.quota);
    }
  }

  /** The session was ended by the platform. */
  handleEvent(): void {
    const why = (this.#session!.closed.reason as SessionEnd | undefined)?.reason ?? "leaving";
    if (why !== "replaced") return this.end(endings[why]);
    this.deafen();
    this.#replaced = true;
    this.common.world.timer(replacedMs, () => this.end(endings.replaced));
  }

  deliverAttributes(json: string, call: CallOptions): Promise<void> {
    return this.#down?.deliverAttributes(json, call) ?? Promise.reject(notOpen());
  }

  deliverRpc(request: RpcRequest, call: CallOptions): Promise<void> {
    return this.#down?.deliverRpc(request, call) ?? Promise.reject(notOpen());
  }

  send(bytes: Buffer): void {
    if (this.#gone) return;
    if (this.#out === undefined) {
      this.#out = [bytes];
      this.common.flushSoon(this);
    } else this.#out.push(bytes);
    this.#outBytes += bytes.length;
    // Judged with every message: of thousands pushed in one go none has reached the socket yet.
    if (this.#socket.writableLength + this.#outBytes > this.common.limits.unsent) this.common.dropSlow(this);
  }

  flush(): void {
    const out = this.#out;
    if (out === undefined) return;
    this.#out = undefined;
    this.common.counts.outbound += this.#outBytes;
    this.#outBytes = 0;
    if (!this.#socket.destroyed) this.#socket.write(out.length === 1 ? out[0]! : Buffer.concat(out));
  }

  track(call: Promise<unknown>, failed: string): void {
    this.#calls++;
    const done = () => {
      this.#calls--;
      this.readOn();
    };
    call.then(done, (error: unknown) => {
      if (this.#state === "open") this.common.log.debug(failed, { deviceId: this.#session!.device.deviceId, error });
      done();
    });
  }

  deafen(): void {
    this.#deaf = true;
  }

  wake(): void {
    this.readOn();
  }

  readOn(): void {
    if (this.#state !== "open" || this.#deaf) return;
    // What is left over comes first: only then may the socket bring more.
    if (this.#rest !== undefined && !this.#congested) this.#take(this.#rest.view);
    if (this.#gone || !this.#paused) return;
    if (!this.#congested) this.#unpause();
    else if (this.common.budget.full) this.common.budget.wait(this);
  }

  #pause(): void {
    if (this.common.budget.full) this.common.budget.wait(this);
    if (this.#paused) return;
    this.#paused = true;
    this.common.counts.paused++;
    this.#socket.pause();
  }

  #unpause(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.common.counts.paused--;
    this.common.budget.leave(this);
    // While it was paused nothing could be heard of the device.
    this.#since = this.common.world.elapsed();
    this.#socket.resume();
  }

  /** Looks at the deadlines. */
  tick(now: number): void {
    const silent = now - this.#since;
    const { connectMs } = this.common.limits;
    if (this.#state === "fresh" && silent > connectMs) {
      this.common.reject("timeout");
      this.#socket.destroy();
    } else if (this.#state === "opening" && silent > connectMs) {
      this.#opening!.abort(new Fault("unavailable", "mqtt.closed", `no session within ${connectMs} ms`));
      if (silent > 2 * connectMs) this.#socket.destroy();
    } else if (this.#state === "open") {
      this.#down!.tick(now);
      if (this.#keepAliveMs > 0 && silent > this.#keepAliveMs * 1.5 && !this.#paused) this.end(reason.keepAlive);
    } else if (this.#state === "ending" && silent > closeMs) this.#socket.destroy();
  }

  end(reasonCode: number): void {
    if (this.#gone) return;
    // Messages that fail because their session was replaced are not the reason.
    if (this.#version === 5) this.send(disconnect(this.#replaced ? reason.takenOver : reasonCode));
    this.#finish();
  }

  /** Closes behind what was written. What still arrives is read and dropped: unread bytes would turn the end into a reset. */
  #finish(): void {
    if (this.#gone) return;
    this.#release("ending");
    this.#since = this.common.world.elapsed();
    this.#unpause();
    this.flush();
    this.#socket.end();
  }

  /** The socket is gone. */
  closed(): void {
    this.#release("closed");
  }

  destroy(): void {
    this.#release("closed");
    this.#socket.destroy();
  }

  #release(next: "ending" | "closed"): void {
    const session = this.#session;
    this.#state = next;
    this.#rest = undefined;
    if (next === "closed" && this.#paused) {
      this.#paused = false;
      this.common.counts.paused--;
    }
    this.common.budget.leave(this);
    this.#opening?.abort(notOpen());
    this.#up?.line.close();
    this.#down?.close();
    if (session === undefined) return;
    this.#session = undefined;
    session.closed.removeEventListener("abort", this);
    this.common.dispose(session);
  }
}

const endings = {
  replaced: reason.takenOver,
  credentials: reason.administrative,
  deleted: reason.administrative,
  idle: reason.implementation,
  unconfirmed: reason.administrative,
  gateway: reason.leaving,
  leaving: reason.leaving,
} as const;

function notOpen(): Fault {
  return new Fault("unavailable", "mqtt.closed", "the device's connection is not open");
}
