import type { World } from "@heddle/plugin-sdk";
import type { AclEntry, NativeClient, NativeOptions, NativeStat } from "./native.ts";

/** ZooKeeper's answers that are told apart; the rest is an error. */
export const codes = {
  ok: 0,
  connectionLoss: -4,
  operationTimeout: -7,
  invalidState: -9,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  invalidAcl: -114,
  authFailed: -115,
  closing: -116,
  sessionMoved: -118,
} as const;

/** A request that ZooKeeper refused or that was never answered. */
export class ZooError extends Error {
  readonly code: number;

  constructor(code: number, what: string, text = "") {
    super(`${what}: ${text === "" ? "" : `${text} `}(${code})`);
    this.name = "ZooError";
    this.code = code;
  }
}

export const isCode = (error: unknown, ...wanted: readonly number[]): boolean =>
  error instanceof ZooError && wanted.includes(error.code);

export interface Listing {
  readonly names: readonly string[];
  readonly stat: NativeStat;
}
export interface Content {
  readonly data: Buffer;
  readonly stat: NativeStat;
}

export interface HandleEvents {
  connected(): void;
  disconnected(): void;
  /** Something watched at this path changed: `deleted`, `changed`, `child`, `created`. */
  changed(path: string): void;
  /** It will never connect again; the code is the reason. */
  closed(code: number): void;
}

const ephemeral = 1;
const connectedState = 3;

/** One native client: promises instead of callbacks, errors instead of codes, and an end that never blocks. */
export class Handle {
  readonly bornAt: number;
  readonly #world: World;
  readonly #client: NativeClient;
  #ended = false;
  #inbox: (() => void)[] = [];

  constructor(world: World, client: NativeClient, events: HandleEvents) {
    this.#world = world;
    this.#client = client;
    this.bornAt = world.elapsed();
    const tell = (run: () => void) => this.#later(() => void (this.#ended || run()));
    client.on("connect", () => tell(events.connected));
    client.on("connecting", () => tell(events.disconnected));
    client.on("close", (_, code) => tell(() => events.closed(Number(code))));
    for (const kind of ["created", "deleted", "changed", "child"]) {
      client.on(kind, (_, path) => tell(() => events.changed(String(path))));
    }
  }

  /**
   * Everything that the driver says is passed on in order after it has returned to the event loop: it must not be closed
   * from within, and while it changes its socket, one that is opened by what it calls takes the same descriptor.
   */
  #later(run: () => void): void {
    this.#inbox.push(run);
    if (this.#inbox.length > 1) return;
    this.#world.timer(0, () => {
      const inbox = this.#inbox;
      this.#inbox = [];
      for (const one of inbox) one();
    });
  }

  /** Begins to connect; throws when the driver takes none of the servers. */
  open(options: NativeOptions, digest: string | undefined): void {
    this.#client.init(options);
    if (this.#client.timeout < 0) throw new ZooError(codes.invalidState, `connect to ${options.connect}`);
    // Kept by the client and sent first on every connection; a wrong password shows in the first request only.
    if (digest !== undefined) this.#client.add_auth("digest", digest, () => {});
  }

  get timeoutMs(): number {
    return this.#client.timeout;
  }

  /** What another handle needs to take this session over. */
  get session(): { readonly client_id: string; readonly client_password: string } {
    return { client_id: this.#client.client_id, client_password: this.#client.client_password };
  }

  create(path: string, data: Buffer, options: { readonly ephemeral: boolean }): Promise<void> {
    return this.#ask(`create ${path}`, (client, done) =>
      client.a_create(path, data, options.ephemeral ? ephemeral : 0, done),
    );
  }

  delete(path: string, version = -1): Promise<void> {
    return this.#ask(`delete ${path}`, (client, done) => client.a_delete_(path, version, done));
  }

  exists(path: string): Promise<NativeStat> {
    return this.#ask(`exists ${path}`, (client, done) => client.a_exists(path, false, done));
  }

  async get(path: string, watch = false): Promise<Content> {
    let data: Buffer = Buffer.alloc(0);
    const stat = await this.#ask<NativeStat>(`get ${path}`, (client, done) =>
      client.a_get(path, watch, (code, text, found, content) => {
        data = content ?? data;
        done(code, text, found);
      }),
    );
    return { data, stat };
  }

  async children(path: string, watch = false): Promise<Listing> {
    let stat: NativeStat | null = null;
    const names = await this.#ask<readonly string[]>(`children of ${path}`, (client, done) =>
      client.a_get_children2(path, watch, (code, text, found, of) => {
        stat = of;
        done(code, text, found);
      }),
    );
    return { names, stat: stat as unknown as NativeStat };
  }

  set(path: string, data: Buffer, version: number): Promise<NativeStat> {
    return this.#ask(`set ${path}`, (client, done) => client.a_set(path, data, version, done));
  }

  acl(path: string): Promise<readonly AclEntry[]> {
    return this.#ask(`acl of ${path}`, (client, done) =>
      client.a_get_acl(path, (code, text, found) => done(code, text, found)),
    );
  }

  setAcl(path: string, acl: readonly AclEntry[]): Promise<void> {
    return this.#ask(`set acl of ${path}`, (client, done) => client.a_set_acl(path, -1, acl, done));
  }

  /** Answered by the leader, once this server has all that the leader had committed. */
  sync(path: string): Promise<void> {
    return this.#ask(`sync ${path}`, (client, done) => client.a_sync(path, (code, text) => done(code, text)));
  }

  /**
   * Lets the connection go at once and the session live: it ends when it expires or when another handle ends it. Closing
   * a connected client would block the process for up to 4.5 s, and a session closed late by a server that hung would
   * take a successor's node along.
   */
  async abandon(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#client.state !== 0) this.#client.set_servers(nowhere);
    this.#client.close();
  }

  #ask<T>(
    what: string,
    send: (client: NativeClient, done: (code: number, text: string, value?: unknown) => void) => number,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(new ZooError(codes.closing, what, "closing"));
      const wasConnected = this.#client.state === connectedState;
      try {
        const refused = send(this.#client, (code, text, value) =>
          this.#later(() => (code === codes.ok ? resolve(value as T) : reject(new ZooError(code, what, text)))),
        );
        if (refused !== codes.ok) reject(new ZooError(refused, what));
      } catch (error) {
        reject(new ZooError(codes.invalidState, what, String(error)));
      }
      // A request that finds the connection broken closes the socket and leaves it to the event loop, where the next
      // socket with its number would be mixed up with it; two clients with one number end the process.
      if (wasConnected && this.#client.state !== connectedState) this.#client.close();
    });
  }
}

/**
 * An address that no ensemble has (RFC 5737): being given it, the client drops the connection that it holds. The client
 * compares addresses without their ports.
 */
const nowhere = "192.0.2.1:1";
