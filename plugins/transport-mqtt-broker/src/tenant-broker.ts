import type { Duplex } from "node:stream";
import {
  type Application,
  type AttributeStore,
  type CallOptions,
  type EntityStore,
  Fault,
  type Log,
  type Stored,
  type TimeseriesStore,
  type World,
} from "@heddle/plugin-sdk";
import type { Aedes, Client, PublishPacket } from "aedes";
import type { WillDocument } from "./documents.ts";
import { type Emitted, Emitter } from "./emitter.ts";
import { FrameGate } from "./frame-gate.ts";
import { Persistence } from "./persistence.ts";
import { RetainedMessages } from "./retained.ts";
import { type SessionLimits, Sessions } from "./sessions.ts";
import { badFilter, covers, filterWithin, topicWithin } from "./topics.ts";
import { Wills } from "./wills.ts";

export interface BrokerLimits extends SessionLimits {
  readonly maxPacket: number;
  readonly inFlight: number;
  readonly unsent: number;
  readonly retained: number;
  readonly connections: number;
}

export interface Meter {
  connected(change: 1 | -1): void;
  received(): void;
  dropped(why: "slow" | "queue" | "retained" | "size" | "refused" | "connections"): void;
}

/** A message of an application, with the application that sent it. */
export interface Published {
  readonly application: { readonly id: string; readonly name: string };
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
}

export interface TenantBrokerOptions {
  readonly tenantId: string;
  readonly world: World;
  readonly log: Log;
  readonly entities: EntityStore;
  readonly attributes: AttributeStore;
  readonly series: TimeseriesStore;
  readonly limits: BrokerLimits;
  readonly meter: Meter;
  readonly node: string;
  /** Unique for each start of the node. */
  readonly life: string;
  readonly call: CallOptions;
  /** Hands a message to the rule engine; resolves when the durable lane has it. */
  ingest(message: Published): Promise<void>;
  /** To the other nodes that have clients of the tenant; resolves when they have it. */
  elsewhere(packet: Emitted): Promise<void> | undefined;
  sessionChanged(clientId: string): Promise<void>;
  /** The first client of this node has come, or the last one gone. */
  presence(here: boolean): void;
}

interface Line {
  readonly application: Stored<Application>["value"];
  readonly version: number;
  readonly gate: FrameGate;
  client?: Client;
  pending: number;
}

/** How long a client that does not read may hold up what is written to it, ms. */
const drainMs = 5_000;
const longestClientId = 256;

/**
 * The MQTT broker of one tenant on one node: its own topics, sessions and clients, so that nothing of another tenant can be
 * reached. What enters is durable (lane, queues of sessions, retained) before it is handed on, and handed on before it is
 * acknowledged, all in the order in which it came.
 */
export class TenantBroker {
  readonly #options: TenantBrokerOptions;
  readonly #sessions: Sessions;
  readonly #retained: RetainedMessages;
  readonly #emitter: Emitter;
  readonly #persistence: Persistence;
  readonly #lines = new Map<Duplex, Line>();
  /** Also of those that are closed: their wills are still to be published. */
  readonly #lineOfConnection = new WeakMap<Duplex, Line>();
  /** Names what entered here, with a number that grows. */
  readonly #life: string;
  #counter = 0;
  #order: Promise<unknown> = Promise.resolve();
  #engine: Aedes | undefined;
  #marking: Disposable | undefined;

  constructor(options: TenantBrokerOptions) {
    const { tenantId, world, entities, limits, call, meter, node } = options;
    this.#options = options;
    this.#life = world.uuid();
    const dropped = () => meter.dropped("queue");
    const changed = (clientId: string) => options.sessionChanged(clientId);
    this.#sessions = new Sessions({ tenantId, world, entities, limits, call, dropped, changed });
    this.#retained = new RetainedMessages({ ...options, most: limits.retained });
    this.#emitter = new Emitter({
      delivered: ({ brokerId }) => brokerId === this.#life,
      // Of what aedes says itself only a client that comes concerns the other nodes: there it may have to go.
      elsewhere: (packet) => (packet.topic.endsWith("/new/clients") ? options.elsewhere(packet) : undefined),
      dropped: () => meter.dropped("slow"),
    });
    this.#persistence = new Persistence({
      sessions: this.#sessions,
      retained: this.#retained,
      wills: new Wills({ tenantId, entities, call, node, life: options.life }),
      applicationOf: (client) => this.#lineOf(client)?.application.id ?? "",
      maySubscribe: (client, topic) => this.#maySubscribe(client, topic),
    });
  }

  get clients(): number {
    return this.#lines.size;
  }

  async open(): Promise<void> {
    await this.#sessions.load();
    const { limits, log } = this.#options;
    // Loaded for the first application: most nodes have none.
    const { Aedes: Engine } = await import("aedes");
    this.#engine = await Engine.createBroker({
      id: `${this.#life}/engine`,
      mq: this.#emitter,
      persistence: this.#persistence,
      drainTimeout: drainMs,
      maxInflightInbound: limits.inFlight,
      preConnect: (client, packet, done) => this.#connect(client, packet.clientId, done),
      authenticate: (_client, _name, _password, done) => done(null, true),
      authorizePublish: (client, packet, done) => this.#publish(client, packet, done),
      authorizeSubscribe: (client, sub, done) => done(null, this.#maySubscribe(client, sub.topic) ? sub : null),
      authorizeForward: (client, packet) => (this.#reads(client) ? packet : null),
    });
    const failed = (client: Client, error: Error) => log.debug("client failed", { client: client.id, error });
    this.#engine.on("clientError", failed).on("connectionError", failed);
    this.#engine.on("clientReady", (client) => this.#mark(client));
    this.#markLater();
    this.#engine.on("error" as "clientError", (error: unknown) => log.error("broker failed", { error }));
  }

  async close(): Promise<void> {
    this.#marking?.[Symbol.dispose]();
    for (const { gate } of [...this.#lines.values()]) gate.destroy();
    await new Promise<void>((resolve) => (this.#engine === undefined ? resolve() : this.#engine.close(resolve)));
  }

  accept({ value: application, version }: Stored<Application>, socket: Duplex, head: Buffer): void {
    const { limits, meter } = this.#options;
    if (this.#lines.size >= limits.connections) {
      meter.dropped("connections");
      socket.destroy();
      return;
    }
    const onTooLarge = () => meter.dropped("size");
    const gate = new FrameGate({ socket, head, maxPacket: limits.maxPacket, onTooLarge });
    const line: Line = { application, version, gate, pending: 0 };
    this.#lines.set(gate, line);
    this.#lineOfConnection.set(gate, line);
    meter.connected(1);
    if (this.#lines.size === 1) this.#options.presence(true);
    gate.once("close", () => {
      this.#lines.delete(gate);
      meter.connected(-1);
      if (line.client !== undefined) this.#mark(line.client);
      if (this.#lines.size === 0) this.#options.presence(false);
    });
    line.client = (this.#engine as Aedes).handle(gate);
  }

  /** Publishes what the platform has to say; resolves when every session that must get it has it, or will. */
  enter(topic: string, payload: Buffer): Promise<void> {
    return this.#enter({ topic, payload, qos: 1 }, undefined);
  }

  /** What entered at another node, for the clients of this one. */
  deliver(packet: Emitted): void {
    this.#emitter.deliver(packet);
  }

  reread(clientId: string): Promise<void> {
    return this.#sessions.reread(clientId);
  }

  /** Closes the connections of an application, those of a given version or newer excepted. */
  kick(applicationId: string, except = Number.POSITIVE_INFINITY): void {
    for (const { application, version, gate } of [...this.#lines.values()])
      if (application.id === applicationId && version < except) gate.destroy();
  }

  /** The will of a client whose node has died. */
  async publishWill({ applicationId, topic, qos, retain, payload }: WillDocument): Promise<void> {
    const message = { topic, qos, payload: Buffer.from(payload, "base64") };
    await this.#enter(message, { application: { id: applicationId, name: "" }, retain });
  }

  #connect(client: Client, clientId: string, done: (error: Error | null, success: boolean) => void): void {
    if (Buffer.byteLength(clientId) > longestClientId) return done(new Error("client id too long"), false);
    const line = this.#lines.get(client.conn as Duplex);
    if (line === undefined) return done(new Error("connection closed"), false);
    done(null, true);
  }

  /** Acknowledged when the callback is called without an error; with one the connection is closed, as 3.1.1 has no other no. */
  #publish(client: Client | null, packet: PublishPacket, done: (error?: Error | null) => void): void {
    const { meter } = this.#options;
    const line = client === null ? undefined : this.#lineOf(client);
    if (client === null || line === undefined) return done(new Error("not connected"));
    const why = this.#badPublish(line.application, packet.topic);
    if (why !== undefined) {
      meter.dropped("refused");
      return done(new Error(why));
    }
    const numbered = packet.qos === 2 && packet.messageId !== undefined;
    if (numbered && this.#persistence.holds(client, packet.messageId as number)) {
      // Handled, or being handled: its PUBREC must not overtake that of the first.
      void this.#order.then(() => done(null));
      return;
    }
    if (numbered) void this.#persistence.incomingStorePacket(client, packet);
    meter.received();
    this.#pace(client, line, 1);
    const { topic, qos, retain } = packet;
    const message = { topic, qos, payload: bytesOf(packet.payload) };
    this.#enter(message, { application: line.application, retain }, packet)
      .then(
        () => done(null),
        (error: Error) => {
          if (numbered) void this.#persistence.incomingDelPacket(client, packet).catch(alreadyGone);
          if (!this.#options.call.signal.aborted)
            this.#options.log.warn("publish not taken", { client: client.id, error });
          done(error);
        },
      )
      .finally(() => this.#pace(client, line, -1));
  }

  #badPublish({ publish }: Application, topic: string): string | undefined {
    const inner = topicWithin(this.#options.tenantId, topic);
    if (inner === undefined) return "the topic lies outside the tenant's space";
    if (inner === "device" || inner.startsWith("device/")) return "topics of devices are written by the platform";
    if (badFilter(inner) !== undefined) return badFilter(inner);
    return publish.some((filter) => covers(filter, inner)) ? undefined : "not permitted";
  }

  /**
   * Durable first, in parallel; then to the subscribers, in the order of entering: clients drop what has a smaller number
   * than what they got before.
   */
  #enter(
    message: Pick<Emitted, "topic" | "payload" | "qos">,
    from: { readonly application: Published["application"]; readonly retain?: boolean } | undefined,
    origin: object = {},
  ): Promise<void> {
    const stamp = { brokerId: this.#life, brokerCounter: ++this.#counter };
    // aedes keeps these when it wraps the packet: the emitter knows by them what it has emitted.
    Object.assign(origin, stamp);
    const packet = { cmd: "publish" as const, ...message, ...stamp };
    const durable: Promise<unknown>[] = [this.#sessions.keep(packet)];
    if (from !== undefined) durable.push(this.#options.ingest({ ...message, application: from.application }));
    if (from?.retain === true) durable.push(this.#keepRetained(packet));
    const kept = Promise.all(durable);
    kept.catch(reportedBelow);
    const before = this.#order;
    const emitted = before.then(async () => {
      await kept;
      this.#emitter.deliver(packet);
      return { told: this.#options.elsewhere(packet) };
    });
    this.#order = emitted.catch(reportedBelow);
    return emitted.then(({ told }) => told);
  }

  async #keepRetained(packet: Emitted): Promise<void> {
    if (await this.#retained.keep(packet)) return;
    this.#options.meter.dropped("retained");
    throw new Fault(
      "exhausted",
      "applications.limit",
      `at most ${this.#options.limits.retained} topics with a retained message`,
    );
  }

  #maySubscribe(client: Client, filter: string): boolean {
    const line = this.#lineOf(client);
    if (line === undefined || badFilter(filter) !== undefined) return false;
    const inner = filterWithin(this.#options.tenantId, filter);
    if (inner === undefined || !line.application.subscribe.some((allowed) => covers(allowed, inner))) return false;
    return client.clean || this.#sessions.mayAdd(client.id, [filter]);
  }

  /** A client that does not read costs memory, and is closed. */
  #reads(client: Client): boolean {
    const { limits, meter } = this.#options;
    if (client.conn.writableLength <= limits.unsent) return true;
    meter.dropped("slow");
    client.conn.destroy();
    return false;
  }

  /** Reads a client on only while few of its messages wait. */
  #pace(client: Client, line: Line, change: 1 | -1): void {
    const { inFlight } = this.#options.limits;
    line.pending += change;
    const paced = client as Client & { pause(): void; resume(): void };
    if (change === 1 && line.pending === inFlight) paced.pause();
    else if (change === -1 && line.pending === inFlight - 1) paced.resume();
  }

  /** Its session is in use. */
  #mark(client: Client): void {
    if (client.clean || client.id === null) return;
    this.#sessions.seen(client.id).catch((error: unknown) => this.#options.log.warn("session not marked", { error }));
  }

  #markLater(): void {
    const { world, limits } = this.#options;
    this.#marking = world.timer(limits.expireMs / 4, () => {
      for (const { client } of this.#lines.values()) if (client !== undefined) this.#mark(client);
      this.#markLater();
    });
  }

  #lineOf(client: Client): Line | undefined {
    return this.#lineOfConnection.get(client.conn as Duplex);
  }
}

const bytesOf = (payload: string | Buffer): Buffer => (typeof payload === "string" ? Buffer.from(payload) : payload);
/** Whoever waits for the message gets the rejection. */
function reportedBelow(): void {}
function alreadyGone(): void {}
