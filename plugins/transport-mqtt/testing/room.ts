import type { MqttApplications, Sessions, Telemetry } from "@heddle/plugin-sdk";
import { FakeOnboarding, FakePackages } from "@heddle/plugin-sdk/testing";
import type { MqttLimits } from "../src/limits.ts";
import { MqttTransport } from "../src/mqtt-transport.ts";
import { type FakeDevice, FakeSessions } from "./fake-sessions.ts";
import { type Level, Peer } from "./peer.ts";
import { silentLog, world } from "./world.ts";

export const usualLimits: MqttLimits = {
  maxPacket: 65_536,
  inFlight: 100,
  totalInFlight: 50_000,
  totalBytes: 128 << 20,
  unsent: 256 << 10,
  connectMs: 10_000,
  ackMs: 10_000,
  topicAliases: 10,
  lingerMs: 60_000,
  latencyMs: 60_000,
  children: 100,
  connections: 10_000,
};

const unused = async (): Promise<never> => {
  throw new Error("not used here");
};
const noTelemetry: Telemetry = {
  save: unused,
  remove: unused,
  saveAttributes: unused,
  removeAttributes: unused,
  forget: unused,
};

/** A transport on a free port; what it serves is up to the sessions. */
export function transportOver(sessions: Sessions): MqttTransport {
  return new MqttTransport({
    world,
    log: silentLog,
    sessions,
    onboarding: new FakeOnboarding(),
    applications: undefined,
    packages: new FakePackages(),
    telemetry: noTelemetry,
    proxied: false,
    skipValidity: false,
    notes: { add() {} },
    host: "127.0.0.1",
    port: 0,
    tls: undefined,
    limits: usualLimits,
    meter: { swept() {}, rejected() {} },
  });
}

interface RoomOptions {
  readonly applications?: MqttApplications;
  readonly proxied?: boolean;
  readonly skipValidity?: boolean;
  readonly package?: Buffer<ArrayBuffer>;
}

/** A transport on a free port with a fake platform behind it; devices `T` (token `T`) and `U` are there. */
export class Room implements AsyncDisposable {
  readonly platform = new FakeSessions();
  readonly onboarding = new FakeOnboarding();
  readonly packages: FakePackages;
  readonly transport: MqttTransport;
  readonly rejected: string[] = [];
  /** Attributes that were saved past the session. */
  readonly shared: object[] = [];
  paused = 0;
  /** How far the server's clock is ahead, ms. */
  aheadMs = 0;
  readonly #peers: Peer[] = [];

  constructor(limits: Partial<MqttLimits> = {}, tls?: { cert: string; key: string }, how: RoomOptions = {}) {
    this.packages = new FakePackages(how.package);
    this.device("T", { token: "T" });
    this.device("U", { token: "U" });
    this.transport = new MqttTransport({
      world: { ...world, now: () => Date.now() + this.aheadMs },
      log: silentLog,
      sessions: this.platform,
      onboarding: this.onboarding,
      applications: how.applications,
      packages: this.packages,
      telemetry: { ...noTelemetry, saveAttributes: async (write) => void this.shared.push(write.values) },
      proxied: how.proxied ?? false,
      skipValidity: how.skipValidity ?? false,
      notes: { add() {} },
      host: "127.0.0.1",
      port: 0,
      tls: tls === undefined ? undefined : { ...tls, port: 0 },
      limits: { ...usualLimits, ...limits },
      meter: {
        swept: (counts) => {
          this.paused = counts.paused;
        },
        rejected: (why) => this.rejected.push(why),
      },
    });
  }

  static async open(
    limits: Partial<MqttLimits> = {},
    tls?: { cert: string; key: string },
    how: RoomOptions = {},
  ): Promise<Room> {
    const room = new Room(limits, tls, how);
    await room.transport.start(new AbortController().signal);
    return room;
  }

  get port(): number {
    return Number(new URL(this.transport.addresses[0]!).port);
  }

  get tlsPort(): number {
    return Number(new URL(this.transport.addresses[1]!).port);
  }

  device(name: string, device: FakeDevice): void {
    this.platform.devices.set(name, device);
  }

  peer(level: Level): Peer {
    const peer = new Peer(this.port, level);
    this.#peers.push(peer);
    return peer;
  }

  /** A connected device; its token is its name. */
  async connected(level: Level, token = "T", more: object = {}): Promise<Peer> {
    const peer = this.peer(level);
    peer.connect({ username: token, ...more });
    await peer.next("connack");
    return peer;
  }

  texts(): string[] {
    return this.platform.heard.map(({ text }) => text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    await this.transport[Symbol.asyncDispose]();
  }
}
