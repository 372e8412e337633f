import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type DeviceDocument,
  deviceCollection,
  type EntityId,
  type EntityQueries,
  Fault,
  type Feed,
  type FeedInterest,
  type Feeds,
  type FeedUpdate,
  type HttpListener,
  type Identity,
  type Principal,
  type UpgradeHandler,
  type Value,
} from "@heddle/plugin-sdk";
import {
  configOf,
  MemoryAttributeStore,
  MemoryEntityStore,
  MemoryTimeseriesStore,
  realWorld,
  silentLog,
} from "@heddle/plugin-sdk/testing";
import WebSocket from "ws";
import card from "../src/index.ts";
import { WsEndpoint } from "../src/ws-endpoint.ts";

export const tenantId = "1da6ae90-9d58-11ef-b1c2-0242ac120002";
export const otherTenant = "2da6ae90-9d58-11ef-b1c2-0242ac120002";
export const customerId = "3da6ae90-9d58-11ef-b1c2-0242ac120002";
export const device: EntityId = { entityType: "DEVICE", id: "de9d54a0-2b7a-11ec-a3cc-23386423d98f" };
export const foreign: EntityId = { entityType: "DEVICE", id: "ee9d54a0-2b7a-11ec-a3cc-23386423d98f" };
export const call = { signal: new AbortController().signal };

/** A listener that only upgrades. */
export class UpgradeOnly implements HttpListener {
  #handle: UpgradeHandler | undefined;
  readonly #server = createServer().on("upgrade", (request, socket, head) => this.#handle?.(request, socket, head));

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get address() {
    return { host: "127.0.0.1", port: (this.#server.address() as AddressInfo).port };
  }

  mount(): Disposable {
    throw new Error("not used");
  }

  upgrade(_prefix: string, handle: UpgradeHandler): Disposable {
    this.#handle = handle;
    return {
      [Symbol.dispose]: () => {
        this.#handle = undefined;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const principal = (authority: Principal["authority"], of: Partial<Principal> = {}): Principal => ({
  userId: "4da6ae90-9d58-11ef-b1c2-0242ac120002",
  email: "user@example.org",
  authority,
  tenantId,
  customerId: "13814000-1dd2-11b2-8080-808080808080",
  sessionId: authority,
  isPublic: false,
  ...of,
});

export const someone = principal("TENANT_ADMIN");
export const silentSeries = new MemoryTimeseriesStore(realWorld());

/** `TA`, `TB` (of another tenant), `CU` and `SA` are tokens; `key` is an API key. */
export class FakeIdentity implements Identity {
  readonly #known = new Map([
    ["TA", principal("TENANT_ADMIN")],
    ["TB", principal("TENANT_ADMIN", { tenantId: otherTenant })],
    ["CU", principal("CUSTOMER_USER", { customerId })],
    ["SA", principal("SYS_ADMIN")],
  ]);
  readonly #end = new AbortController();

  async authenticate(token: string): Promise<Principal> {
    const known = this.#known.get(token);
    if (token === "expired") throw new Fault("denied", "identity.expired", "Token has expired");
    if (known === undefined) throw new Fault("denied", "identity.token", "not a token");
    return known;
  }

  async authenticateApiKey(value: string): Promise<Principal> {
    if (value !== "key") throw new Fault("denied", "identity.credentials", "no such key");
    return principal("TENANT_ADMIN");
  }

  ended(): AbortSignal {
    return this.#end.signal;
  }

  endAll(): void {
    this.#end.abort();
  }
}

interface Open {
  readonly interest: FeedInterest;
  readonly on: { deliver(update: FeedUpdate): void; resync(): void };
}

/** Feeds that a test pushes to; `hold` keeps subscriptions from becoming live. */
export class FakeFeeds implements Feeds {
  readonly open = new Set<Open>();
  hold: Promise<void> = Promise.resolve();

  subscribe(interest: FeedInterest, on: Open["on"]): Feed {
    const one = { interest, on };
    const end = new AbortController();
    this.open.add(one);
    const ended = new Promise<void>((_, reject) =>
      end.signal.addEventListener("abort", () => reject(end.signal.reason), { once: true }),
    );
    ended.catch(() => undefined);
    return {
      live: Promise.race([this.hold, ended]),
      [Symbol.asyncDispose]: async () => {
        this.open.delete(one);
        end.abort();
      },
    };
  }

  tell(update: FeedUpdate): void {
    for (const { interest, on } of this.open) {
      const wanted = update.scope === undefined ? interest.series : interest.attributes?.[update.scope];
      const changes = update.changes.filter(({ key }) => wanted === "all" || wanted?.includes(key));
      if (interest.entity.id === update.entity.id && changes.length > 0) on.deliver({ ...update, changes });
    }
  }
}

export async function until(holds: () => boolean, withinMs = 3_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error("did not come about in time");
    await soon(4);
  }
}

export const soon = (ms = 25) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A client that keeps what it got. */
export class Client {
  readonly socket: WebSocket;
  readonly got: any[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #read = 0;

  constructor(url: string, options: WebSocket.ClientOptions = {}) {
    this.socket = new WebSocket(url, options);
    this.socket.on("message", (data) => this.got.push(JSON.parse(String(data))));
    this.socket.on("error", () => undefined);
    this.closed = new Promise((resolve) =>
      this.socket.once("close", (code, reason) => resolve({ code, reason: String(reason) })),
    );
  }

  opened(): Promise<void> {
    return new Promise((resolve) => this.socket.once("open", () => resolve()));
  }

  send(what: unknown): void {
    this.socket.send(typeof what === "string" ? what : JSON.stringify(what));
  }

  /** Sends a command; the answer is the next message. */
  async ask(...cmds: object[]): Promise<any> {
    this.send({ cmds });
    return this.next();
  }

  async next(): Promise<any> {
    await until(() => this.got.length > this.#read);
    return this.got[this.#read++];
  }

  /** True when nothing more comes. */
  async silent(): Promise<boolean> {
    await soon(40);
    return this.got.length === this.#read;
  }
}

/** Entity queries that find nothing: what they find is the business of those who answer them. */
const noEntities: EntityQueries = {
  count: async () => 0,
  find: async () => ({ rows: [], totalElements: 0, totalPages: 0, hasNext: false }),
};

/** The endpoint on a free port over stores in memory. */
export class Bench implements AsyncDisposable {
  readonly http = new UpgradeOnly();
  readonly identity = new FakeIdentity();
  readonly feeds = new FakeFeeds();
  readonly entities = new MemoryEntityStore();
  readonly series = new MemoryTimeseriesStore(realWorld());
  readonly attributes = new MemoryAttributeStore();
  queries: EntityQueries = noEntities;
  readonly connections: number[] = [];
  /** Messages handed to sockets. */
  sent = 0;
  readonly endpoint: WsEndpoint;
  readonly #clients: Client[] = [];

  constructor(config: Record<string, unknown> = {}) {
    const settings = configOf(card, config) as unknown as ConstructorParameters<typeof WsEndpoint>[0];
    const deps = { ...this, world: realWorld(), log: silentLog };
    const { http, identity, feeds, queries, entities, series, attributes, world, log } = deps;
    this.endpoint = new WsEndpoint(
      settings,
      { http, identity, feeds, queries, entities, series, attributes, world, log },
      {
        connections: { record: (open: number) => void this.connections.push(open) },
        sent: { record: (count: number) => this.#count(count) },
      },
    );
  }

  async start(): Promise<this> {
    await this.http.listen();
    this.endpoint.start();
    const shape = { createdTime: 1, type: "default", label: null, deviceProfileId: tenantId, deviceData: null };
    const none = { firmwareId: null, softwareId: null, externalId: null, additionalInfo: null };
    const documents: DeviceDocument[] = [
      { ...shape, ...none, id: device.id, tenantId, customerId: null, name: "own" },
      { ...shape, ...none, id: foreign.id, tenantId: otherTenant, customerId: null, name: "foreign" },
    ];
    const devices = this.entities.collection<DeviceDocument>(deviceCollection);
    await devices.put(
      documents.map((value) => ({ value, expect: "absent" as const })),
      call,
    );
    return this;
  }

  #count(messages: number): void {
    this.sent += messages;
  }

  client(path = "/api/ws", options: WebSocket.ClientOptions = {}): Client {
    const client = new Client(`ws://127.0.0.1:${this.http.address.port}${path}`, options);
    this.#clients.push(client);
    return client;
  }

  async signedIn(token = "TA", path = "/api/ws"): Promise<Client> {
    const client = this.client(`${path}?token=${token}`);
    await client.opened();
    return client;
  }

  /** As telemetry is saved: the store, then the watchers. */
  async save(ts: number, values: Record<string, Value>): Promise<void> {
    await this.series.append([{ entity: device, ts, values }], call);
    this.feeds.tell({ entity: device, changes: Object.entries(values).map(([key, value]) => ({ key, ts, value })) });
  }

  async put(values: Record<string, Value>, ts: number, scope: "SERVER_SCOPE" | "SHARED_SCOPE" = "SERVER_SCOPE") {
    await this.attributes.put({ entity: device, scope, values, ts }, call);
    const changes = Object.entries(values).map(([key, value]) => ({ key, ts, value }));
    this.feeds.tell({ entity: device, scope, changes });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.#clients) socket.terminate();
    await this.endpoint.stop();
    await this.http[Symbol.asyncDispose]();
  }
}

const at = { entityType: "DEVICE", entityId: device.id };
export const latest = (cmdId: number, keys = "t", more: object = {}) => ({
  type: "TIMESERIES",
  cmdId,
  ...at,
  keys,
  scope: "LATEST_TELEMETRY",
  ...more,
});
export const ofAttributes = (cmdId: number, keys: string, scope = "SERVER_SCOPE", more: object = {}) => ({
  type: "ATTRIBUTES",
  cmdId,
  ...at,
  keys,
  scope,
  ...more,
});
