import type { Socket } from "node:net";
import {
  type Application,
  type CallOptions,
  type Downlinks,
  Fault,
  type RpcRequest,
  type Session,
  type SessionEnd,
  type Stored,
} from "@heddle/plugin-sdk";
import type { IConnectPacket } from "mqtt-packet";
import { admit, maybeApplication, type Refusal, wantsProvisioning } from "./admission.ts";
import type { Waiter } from "./budget.ts";
import { connack, disconnect, readConnect, type Version } from "./codec.ts";
import type { Connections } from "./connections.ts";
import { DeviceTalk } from "./device-talk.ts";
import { type Frame, packetType, readFrame } from "./frame.ts";
import { closeMs, mostBehindConnect, replacedMs } from "./limits.ts";
import { Outbox } from "./outbox.ts";
import { handlePacket } from "./packets.ts";
import { Partial } from "./partial.ts";
import { chainVerifies, peerCertificate } from "./peer-certificate.ts";
import { ProvisionTalk } from "./provision-talk.ts";
import { readProxyHeader } from "./proxy-protocol.ts";
import { endings, reason } from "./reasons.ts";
import type { Talk } from "./talk.ts";
import type { Wire } from "./wire.ts";

/** Scratch of all connections: a packet is read and handled in one go. */
const frame: Frame = { start: 0, first: 0, body: 0, end: 0 };

/** `ending`: closing, what still arrives is thrown away. */
type State = "proxied" | "fresh" | "opening" | "open" | "ending" | "closed";

/** One socket: bytes to packets, packets to the two directions of its session, and its end. */
export class Connection implements Wire, Waiter, Downlinks {
  readonly common: Connections;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  #state: State = "fresh";
  #version: Version = 4;
  /** IP address: of the peer, or of whom a load balancer speaks for. */
  #address: string;
  #talk: Talk | undefined;
  #device: DeviceTalk | undefined;
  #session: Session | undefined;
  #opening: AbortController | undefined;
  /** Monotonic ms: when the device was last heard or, while ending, when the end began. */
  #since: number;
  #keepAliveMs = 0;
  #rest: Partial | undefined;
  /** The CONNECT as it was read, of what may be an application. */
  #connect: Buffer | undefined;
  #paused = false;
  #deaf = false;
  #replaced = false;
  /** Calls to the platform that have not been answered. */
  #calls = 0;

  constructor(socket: Socket, common: Connections) {
    this.#socket = socket;
    this.common = common;
    this.#outbox = new Outbox(socket, common);
    this.#address = socket.remoteAddress ?? "";
    if (common.proxied) this.#state = "proxied";
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
      if (this.#state === "proxied") {
        const used = this.#readProxied(bytes);
        if (used === 0) return at;
        at += used;
        continue;
      }
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

  /** How many bytes the load balancer's header took; 0 while it is not whole. */
  #readProxied(bytes: Buffer): number {
    const header = readProxyHeader(bytes);
    if (header.kind === "partial") return 0;
    if (header.kind === "bad") {
      this.common.reject("malformed");
      this.#finish();
      return bytes.length;
    }
    this.#address = header.address ?? this.#address;
    this.#state = "fresh";
    if (this.common.sessions.isBlocked(this.#address)) this.#block();
    return header.bytes;
  }

  #block(): void {
    this.common.reject("blocked");
    this.destroy();
  }

  /** A defect here or behind the platform's door ends this connection and no other. */
  #fail(error: unknown): void {
    this.common.log.error("packet not handled", { deviceId: this.#talk?.about, error });
    this.end(reason.leaving);
  }

  get #gone(): boolean {
    return this.#state === "ending" || this.#state === "closed";
  }

  get #congested(): boolean {
    const pending = (this.#talk?.inFlight ?? 0) + this.#calls;
    return pending >= this.common.limits.inFlight || (this.#state === "open" && this.common.budget.full);
  }

  #handle(bytes: Buffer): void {
    this.#since = this.common.world.elapsed();
    handlePacket(bytes, frame, { wire: this, talk: this.#talk! });
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
    if (wantsProvisioning(packet)) return this.#openFor(new ProvisionTalk(this), packet);
    this.#state = "opening";
    this.#opening = new AbortController();
    if (maybeApplication(packet)) this.#connect = Buffer.from(bytes);
    const peer = `${this.#address}:${this.#socket.remotePort ?? 0}`;
    const { world, skipValidity, sessions, onboarding, applications } = this.common;
    const arrival = { packet, certificate, peer, address: this.#address, now: world.now(), skipValidity };
    admit(arrival, { applications, sessions, onboarding, down: this, signal: this.#opening.signal })
      .then((outcome) => {
        this.#opening = undefined;
        if ("why" in outcome) this.#refuse(outcome, packet, peer);
        else if ("application" in outcome) this.#handOver(outcome.application);
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

  /** An application speaks to its broker from now on; what was read of it is read again there. */
  #handOver(application: Stored<Application>): void {
    if (this.#state !== "opening") return;
    if (this.#version === 5) {
      this.common.reject("version");
      this.send(connack(5, reason.unsupportedVersion, false));
      return this.end(undefined);
    }
    const head = Buffer.concat([this.#connect ?? Buffer.alloc(0), this.#rest?.view ?? Buffer.alloc(0)]);
    const { common } = this;
    common.remove(this);
    this.#release("closed");
    for (const event of ["data", "drain", "close", "error"]) this.#socket.removeAllListeners(event);
    common.handOver(this.#socket);
    common.applications?.accept(application, this.#socket, head);
  }

  #open(session: Session, packet: IConnectPacket): void {
    if (this.#state !== "opening") return this.common.dispose(session);
    this.#session = session;
    this.#device = new DeviceTalk(this, session, packet);
    this.#openFor(this.#device, packet);
    session.closed.addEventListener("abort", this, { once: true });
    if (session.closed.aborted) this.handleEvent();
    this.readOn();
  }

  #openFor(talk: Talk, { clean, keepalive }: IConnectPacket): void {
    const { inFlight, maxPacket, topicAliases } = this.common.limits;
    // "Session present" mirrors the flag, although no session is kept (device-api 1.7).
    const welcome = { receiveMaximum: inFlight, maximumPacketSize: maxPacket + 5, topicAliasMaximum: topicAliases };
    this.#talk = talk;
    this.#keepAliveMs = (keepalive ?? 0) * 1000;
    this.#since = this.common.world.elapsed();
    this.#state = "open";
    this.send(connack(this.#version, reason.success, !clean, welcome));
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
    return this.#device?.deliverAttributes(json, call) ?? Promise.reject(notOpen());
  }

  deliverRpc(request: RpcRequest, call: CallOptions): Promise<void> {
    return this.#device?.deliverRpc(request, call) ?? Promise.reject(notOpen());
  }

  send(bytes: Buffer, patient = false): void {
    if (!this.#gone) this.#outbox.send(this, bytes, patient);
  }

  drained(signal: AbortSignal): Promise<void> {
    return this.#outbox.drained(signal);
  }

  drain(): void {
    this.#outbox.drain();
  }

  flush(): void {
    this.#outbox.flush();
  }

  track(call: Promise<unknown>, failed: string): void {
    this.#calls++;
    const done = () => {
      this.#calls--;
      this.readOn();
    };
    call.then(done, (error: unknown) => {
      if (this.#state === "open") this.common.log.debug(failed, { deviceId: this.#talk!.about, error });
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
    if ((this.#state === "fresh" || this.#state === "proxied") && silent > connectMs) {
      this.common.reject("timeout");
      this.#socket.destroy();
    } else if (this.#state === "opening" && silent > connectMs) {
      this.#opening!.abort(new Fault("unavailable", "mqtt.closed", `no session within ${connectMs} ms`));
      if (silent > 2 * connectMs) this.#socket.destroy();
    } else if (this.#state === "open") {
      this.#talk!.tick(now);
      if (this.#keepAliveMs > 0 && silent > this.#keepAliveMs * 1.5 && !this.#paused) this.end(reason.keepAlive);
    } else if (this.#state === "ending" && silent > closeMs) this.#socket.destroy();
  }

  end(reasonCode: number | undefined): void {
    if (this.#gone) return;
    // Messages that fail because their session was replaced are not the reason.
    const told = this.#replaced ? reason.takenOver : reasonCode;
    if (this.#version === 5 && told !== undefined) this.send(disconnect(told));
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
    session?.closed.removeEventListener("abort", this);
    this.#session = undefined;
    const talk = this.#talk;
    this.#talk = undefined;
    talk?.close();
    this.drain();
  }
}

function notOpen(): Fault {
  return new Fault("unavailable", "mqtt.closed", "the device's connection is not open");
}
