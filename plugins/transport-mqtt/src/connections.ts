import type { Socket } from "node:net";
import type {
  Log,
  MqttApplications,
  Onboarding,
  OtaPackages,
  Session,
  Sessions,
  Telemetry,
  World,
} from "@heddle/plugin-sdk";
import { Budget } from "./budget.ts";
import type { Connection } from "./connection.ts";
import { type MqttLimits, sweepMs } from "./limits.ts";
import { reason } from "./reasons.ts";
import type { Common, Counts } from "./wire.ts";

/** Where the counts go, with every sweep. */
export interface MqttMeter {
  swept(counts: Counts, connections: number): void;
  rejected(why: string): void;
}

export interface ConnectionsOptions {
  readonly world: World;
  readonly log: Log;
  readonly sessions: Sessions;
  readonly onboarding: Onboarding;
  /** Where connections go that are no devices'. */
  readonly applications: MqttApplications | undefined;
  readonly packages: OtaPackages;
  readonly telemetry: Telemetry;
  readonly limits: MqttLimits;
  readonly meter: MqttMeter;
  /** A load balancer says before each connection whom it speaks for. */
  readonly proxied: boolean;
  /** Dates of client certificates are not looked at. */
  readonly skipValidity: boolean;
}

/** All connections of this transport: one sweep for their deadlines, one flush for what they have to write. */
export class Connections implements Common {
  readonly world: World;
  readonly log: Log;
  readonly sessions: Sessions;
  readonly onboarding: Onboarding;
  readonly applications: MqttApplications | undefined;
  readonly packages: OtaPackages;
  readonly telemetry: Telemetry;
  readonly limits: MqttLimits;
  readonly budget: Budget;
  readonly proxied: boolean;
  readonly skipValidity: boolean;
  readonly counts: Counts = { received: 0, sent: 0, acknowledged: 0, refused: 0, inbound: 0, outbound: 0, paused: 0 };
  readonly #meter: MqttMeter;
  readonly #open = new Set<Connection>();
  /** Sockets of applications: they end with the listener that took them. */
  readonly #handedOver = new Set<Socket>();
  #unflushed: Connection[] = [];
  #sweep: Disposable | undefined;

  constructor(options: ConnectionsOptions) {
    const { world, log, sessions, onboarding, applications, packages, telemetry, limits, meter } = options;
    const { proxied, skipValidity } = options;
    this.applications = applications;
    this.proxied = proxied;
    this.skipValidity = skipValidity;
    this.world = world;
    this.log = log;
    this.sessions = sessions;
    this.onboarding = onboarding;
    this.packages = packages;
    this.telemetry = telemetry;
    this.limits = limits;
    this.#meter = meter;
    this.budget = new Budget({ messages: limits.totalInFlight, bytes: limits.totalBytes });
  }

  get size(): number {
    return this.#open.size;
  }

  start(): void {
    this.#sweep ??= this.world.timer(sweepMs, () => {
      this.#sweep = undefined;
      const now = this.world.elapsed();
      for (const connection of this.#open) connection.tick(now);
      this.#meter.swept(this.counts, this.size);
      this.start();
    });
  }

  /** Ends all of them and resolves when their sockets are closed, which the sweep enforces. */
  async stop(): Promise<void> {
    for (const connection of this.#open) connection.end(reason.leaving);
    for (const socket of this.#handedOver) socket.destroy();
    const never = new AbortController().signal;
    for (let waited = 0; this.#open.size > 0 && waited < 1000; waited += 20) await this.world.sleep(20, never);
    for (const connection of [...this.#open]) connection.destroy();
    this.#open.clear();
    this.#sweep?.[Symbol.dispose]();
    this.#sweep = undefined;
    this.#meter.swept(this.counts, 0);
  }

  add(connection: Connection): void {
    this.#open.add(connection);
  }

  remove(connection: Connection): void {
    this.#open.delete(connection);
  }

  handOver(socket: Socket): void {
    this.#handedOver.add(socket);
    socket.once("close", () => this.#handedOver.delete(socket));
  }

  reject(why: string): void {
    this.#meter.rejected(why);
  }

  /** One write per connection and turn of the loop, behind all acknowledgements that became due in it. */
  flushSoon(connection: Connection): void {
    this.#unflushed.push(connection);
    if (this.#unflushed.length === 1) process.nextTick(flushAll, this);
  }

  flush(): void {
    const due = this.#unflushed;
    this.#unflushed = [];
    for (const connection of due) connection.flush();
  }

  /** A device that does not read what it is sent costs memory. */
  dropSlow(connection: Connection): void {
    this.reject("slow");
    connection.destroy();
  }

  dispose(session: Session): void {
    session[Symbol.asyncDispose]().then(undefined, (error: unknown) => {
      this.log.debug("session not closed", { deviceId: session.device.deviceId, error });
    });
  }
}

function flushAll(connections: Connections): void {
  connections.flush();
}
