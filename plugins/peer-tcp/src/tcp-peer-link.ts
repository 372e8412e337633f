import type { Socket } from "node:net";
import type { CallOptions, Health, Log, PeerIdentity, PeerLink, World } from "@heddle/plugin-sdk";
import { addressOf, advertisedHost } from "./address.ts";
import { dial } from "./dial.ts";
import { fault } from "./faults.ts";
import { longestName } from "./handshake.ts";
import { Inbound } from "./inbound.ts";
import { type Binding, Listener } from "./listener.ts";
import type { PeerMeter } from "./meter.ts";
import { Outgoing } from "./outgoing.ts";
import { bindingOf, keyOf, type Settings } from "./settings.ts";
import { type TlsMaterial, tlsMaterialOf } from "./tls-material.ts";
import { noCounts } from "./wire.ts";

type OnFrame = (from: string, frame: Uint8Array) => Promise<void> | void;

export interface TcpPeerLinkOptions {
  readonly world: World;
  readonly log: Log;
  readonly settings: Settings;
  readonly meter: PeerMeter;
}

/** Frames between nodes: one connection per pair and direction, made by the side that sends. */
export class TcpPeerLink implements PeerLink {
  readonly #options: TcpPeerLinkOptions;
  readonly #counts = noCounts();
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #inbound = new Map<string, Inbound>();
  #tls: TlsMaterial | undefined;
  #binding: Binding | undefined;
  #listener: Listener | undefined;
  #identity: PeerIdentity | undefined;
  #address = "";
  #beat: Disposable | undefined;

  constructor(options: TcpPeerLinkOptions) {
    this.#options = options;
  }

  /** Faults `peer.config`, `peer.unprotected`, `peer.tls`. */
  async start(signal?: AbortSignal): Promise<void> {
    const { settings } = this.#options;
    this.#binding = bindingOf(settings);
    this.#tls = settings.tls === undefined ? undefined : await tlsMaterialOf(settings.tls);
    signal?.throwIfAborted();
  }

  async listen(onFrame: OnFrame, identity?: PeerIdentity): Promise<string> {
    if (this.#listener !== undefined) throw fault("peer.listen", `this link listens on ${this.#address} already`);
    if (this.#binding === undefined) await this.start();
    const { world, log, settings, meter } = this.#options;
    const listener = new Listener({
      world,
      log,
      tls: this.#tls,
      key: keyOf(settings.secret),
      connectTimeout: settings.connectTimeout,
      handshakes: settings.handshakes,
      admit: (name) => this.#identity?.admit(name) ?? false,
      welcome: (socket, from) => this.#welcome(socket, from, onFrame),
      refused: (why) => meter.refused(why),
    });
    this.#listener = listener;
    try {
      this.#address = this.#published(await listener.listen(this.#binding as Binding));
      this.#identity = identified(identity ?? { id: this.#address, admit: () => true });
    } catch (error) {
      this.#listener = undefined;
      await listener.close();
      throw error;
    }
    this.#tick();
    log.info("listening for peers", { address: this.#address, tls: this.#tls !== undefined });
    return this.#address;
  }

  send(address: string, frame: Uint8Array, { signal }: CallOptions): Promise<void> {
    const { frameBytes } = this.#options.settings;
    if (frame.length > frameBytes) {
      const text = `a frame of ${frame.length} bytes for ${address}: the limit is ${frameBytes}`;
      return Promise.reject(fault("peer.frame-too-large", text));
    }
    const outgoing = this.#outgoing.get(address) ?? this.#to(address);
    if (outgoing === undefined) return Promise.reject(fault("peer.closed", `a frame for ${address}: not listening`));
    return outgoing.send(frame, signal);
  }

  health(): Health {
    const { size } = this.#inbound;
    if (this.#listener?.failed !== undefined) return { state: "down", detail: this.#listener.failed };
    const detail = this.#listener === undefined ? "not listening yet" : `${this.#address}, ${size} peers connected`;
    return { state: "up", detail };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const listener = this.#listener;
    if (listener === undefined) return;
    this.#listener = undefined;
    this.#beat?.[Symbol.dispose]();
    const outgoing = [...this.#outgoing.values()];
    this.#outgoing.clear();
    const inbound = [...this.#inbound.values()];
    this.#inbound.clear();
    for (const peer of inbound) peer.close(true);
    await Promise.all([listener.close(), ...outgoing.map((peer) => peer.close())]);
    this.#record();
    this.#options.log.info("stopped", { address: this.#address });
  }

  #published(port: number): string {
    const binding = this.#binding as Binding;
    if ("path" in binding) return `unix:${binding.path}`;
    return addressOf(this.#options.settings.advertise ?? advertisedHost(binding.host), port);
  }

  #to(address: string): Outgoing | undefined {
    if (this.#listener === undefined || this.#identity === undefined) return undefined;
    const { world, log, settings } = this.#options;
    const { id: name } = this.#identity;
    const key = keyOf(settings.secret);
    const outgoing = new Outgoing({
      world,
      log,
      address,
      limits: settings,
      counts: this.#counts,
      dial: (signal) => dial(address, { name, key, tls: this.#tls, signal }),
    });
    this.#outgoing.set(address, outgoing);
    return outgoing;
  }

  #welcome(socket: Socket, from: string, onFrame: OnFrame): void {
    const { log, settings } = this.#options;
    if (this.#listener === undefined) return void socket.destroy();
    const inbound = new Inbound({ socket, from, log, frameBytes: settings.frameBytes, counts: this.#counts, onFrame });
    const former = this.#inbound.get(from);
    this.#inbound.set(from, inbound);
    log.info("peer connected", { from });
    void inbound.drained.then(() => {
      if (this.#inbound.get(from) !== inbound) return;
      this.#inbound.delete(from);
      log.info("peer disconnected", { from });
    });
    former?.close();
    void inbound.serve(former?.drained);
  }

  #tick(): void {
    this.#beat = this.#options.world.timer(this.#options.settings.heartbeat, () => {
      for (const [address, outgoing] of this.#outgoing) {
        outgoing.tick();
        if (outgoing.idle) this.#outgoing.delete(address);
      }
      for (const inbound of this.#inbound.values()) {
        inbound.tick();
        if (inbound.open && this.#identity?.admit(inbound.from) === false) {
          this.#options.log.info("peer is no longer a member, connection closed", { from: inbound.from });
          inbound.close();
        }
      }
      this.#record();
      this.#tick();
    });
  }

  #record(): void {
    const outgoing = [...this.#outgoing.values()];
    this.#options.meter.record(this.#counts, {
      inbound: this.#inbound.size,
      outbound: outgoing.filter(({ connected }) => connected).length,
      queued: outgoing.reduce((sum, { queued }) => sum + queued, 0),
      waiting: outgoing.reduce((sum, { waiting }) => sum + waiting, 0),
    });
  }
}

function identified(identity: PeerIdentity): PeerIdentity {
  const bytes = Buffer.byteLength(identity.id);
  if (bytes === 0 || bytes > longestName) {
    throw fault("peer.config", `the id of a node has 1 to ${longestName} bytes, "${identity.id}" has ${bytes}`);
  }
  return identity;
}
