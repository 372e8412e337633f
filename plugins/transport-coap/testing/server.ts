import { randomUUID } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { Log, Metric, World } from "@heddle/plugin-sdk";
import { FakeOnboarding, FakePackages } from "@heddle/plugin-sdk/testing";
import { generate, type Packet, type ParsedPacket, parse } from "coap-packet";
import { type CoapConfig, CoapServer } from "../src/coap-server.ts";
import { FakePlatform } from "./platform.ts";

const MB = 1024 * 1024;
export const defaults: CoapConfig = {
  port: 0,
  host: "127.0.0.1",
  receiveBuffer: 4 * MB,
  maxBody: 64 * 1024,
  requestsPerPeer: 16,
  pendingBytes: 32 * MB,
  remembered: 20_000,
  rememberFor: 247_000,
  transfers: 1_000,
  transferBytes: 16 * MB,
  transferAge: 60_000,
  observers: 50_000,
};

/** Sums by metric and labels: `dropped/malformed`. */
export class Counts {
  readonly #sums = new Map<string, number>();

  metric(name: string): Metric {
    return {
      record: (value, labels = {}) => {
        const key = [name, ...Object.values(labels)].join("/");
        this.#sums.set(key, (this.#sums.get(key) ?? 0) + value);
      },
    };
  }

  of(key: string): number {
    return this.#sums.get(key) ?? 0;
  }
}

export interface TestServer extends AsyncDisposable {
  readonly server: CoapServer;
  readonly platform: FakePlatform;
  readonly onboarding: FakeOnboarding;
  readonly packages: FakePackages;
  readonly counts: Counts;
  readonly errors: unknown[];
  readonly port: number;
  readonly notes: string[];
  peer(): Promise<Peer>;
}

/** Real time, `speed` times as fast: what takes a minute by the protocol need not take one here. */
function fastWorld(speed: number): World {
  return {
    now: () => Date.now(),
    elapsed: () => performance.now() * speed,
    sleep: () => Promise.reject(new Error("nothing here sleeps")),
    timer: (ms, run) => {
      const handle = setTimeout(run, ms / speed);
      return { [Symbol.dispose]: () => clearTimeout(handle) };
    },
    random: Math.random,
    uuid: randomUUID,
  };
}

export async function serve(
  config: Partial<CoapConfig> = {},
  speed = 1,
  body?: Buffer<ArrayBuffer>,
): Promise<TestServer> {
  const platform = new FakePlatform();
  const onboarding = new FakeOnboarding();
  const packages = new FakePackages(body);
  platform.device("T1");
  const counts = new Counts();
  const errors: unknown[] = [];
  const notes: string[] = [];
  const peers: Peer[] = [];
  const log: Log = { child: () => log, debug() {}, info() {}, warn() {}, error: (...line) => void errors.push(line) };
  const deps = {
    world: fastWorld(speed),
    log,
    sessions: platform,
    onboarding,
    packages,
    notes: { add: (note: { readonly lines: readonly string[] }) => void notes.push(...note.lines) },
    launch: { demo: false },
  };
  const metric = (name: string) => counts.metric(name);
  const server = new CoapServer({ ...defaults, ...config }, deps, {
    requests: metric("requests"),
    responses: metric("responses"),
    dropped: metric("dropped"),
    exchanges: metric("exchanges"),
    observers: metric("observers"),
    transfers: metric("transfers"),
  });
  await server.start();
  return {
    server,
    platform,
    onboarding,
    packages,
    counts,
    errors,
    notes,
    port: server.port,
    peer: async () => {
      const peer = await Peer.open(server.port);
      peers.push(peer);
      return peer;
    },
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      for (const peer of peers) peer.close();
    },
  };
}

/** A bare socket that keeps what it receives. */
export class Peer {
  readonly received: (ParsedPacket & { readonly at: number })[] = [];
  /** Called with each message. */
  onMessage: (message: ParsedPacket) => void = () => {};
  readonly #socket: Socket;
  #next = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {}); // The server has stopped, as some tests want.
    socket.on("message", (bytes) => {
      const message = parse(bytes);
      this.received.push({ ...message, at: performance.now() });
      this.onMessage(message);
    });
  }

  static async open(port: number): Promise<Peer> {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4 * MB });
    socket.connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Peer(socket);
  }

  raw(bytes: Buffer): void {
    this.#socket.send(bytes);
  }

  /** Returns the message id. */
  send(packet: Packet): number {
    const messageId = packet.messageId ?? this.#next++;
    this.raw(generate({ ...packet, messageId }, 65_535));
    return messageId;
  }

  request(method: string, path: string, more: Packet = {}): number {
    const [way = "", query] = path.split("?");
    const options = [
      ...way.split("/").map((part) => ({ name: "Uri-Path", value: Buffer.from(part) })),
      ...(query?.split("&") ?? []).map((part) => ({ name: "Uri-Query", value: Buffer.from(part) })),
      ...(more.options ?? []),
    ];
    return this.send({ confirmable: true, token: Buffer.from("tk"), ...more, code: method, options });
  }

  acknowledge(messageId: number): void {
    this.raw(generate({ ack: true, code: "0.00", messageId }));
  }

  reset(messageId: number): void {
    this.raw(generate({ reset: true, code: "0.00", messageId }));
  }

  close(): void {
    this.#socket.close();
  }
}

export function option(message: ParsedPacket | undefined, name: string): number | undefined {
  const value = message?.options.find((one) => String(one.name) === name)?.value;
  if (value === undefined) return undefined;
  return value.length === 0 ? 0 : value.readUIntBE(0, value.length);
}
