import { once } from "node:events";
import { chmod, unlink } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Log, World } from "@heddle/plugin-sdk";
import { fault, reasonOf } from "./faults.ts";
import { Refusal, receive } from "./handshake.ts";
import { RefusalLog } from "./refusal-log.ts";
import type { TlsMaterial } from "./tls-material.ts";

export type Binding = { readonly host: string; readonly port: number } | { readonly path: string };

export interface ListenerOptions {
  readonly world: World;
  readonly log: Log;
  readonly tls: TlsMaterial | undefined;
  readonly key: string;
  readonly connectTimeout: number;
  /** Connections that have proved nothing yet. */
  readonly handshakes: number;
  admit(name: string): boolean;
  /** A peer that has proved itself. */
  welcome(socket: Socket, from: string): void;
  refused(why: string): void;
}

/** Takes connections and lets peers in; strangers cost a bounded number of sockets for a bounded time. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #refusals: RefusalLog;
  /** Oldest first, by remote end: a TLS socket and the one below it share it. */
  readonly #unproven = new Map<unknown, { readonly socket: Socket; readonly bound: Disposable }>();
  #failed: string | undefined;

  constructor(options: ListenerOptions) {
    const { tls, connectTimeout } = options;
    this.#options = options;
    this.#refusals = new RefusalLog(options);
    this.#server =
      tls === undefined
        ? createServer({ noDelay: true, keepAlive: true })
        : createTlsServer({
            ...tls,
            requestCert: true,
            rejectUnauthorized: true,
            handshakeTimeout: connectTimeout,
            noDelay: true,
            keepAlive: true,
          });
    this.#server.on("connection", (socket: Socket) => this.#arrived(socket));
    if (tls === undefined) this.#server.on("connection", (socket: Socket) => void this.#prove(socket));
    else {
      this.#server.on("secureConnection", (socket: Socket) => void this.#prove(socket));
      this.#server.on("tlsClientError", (error: Error, socket: Socket) => this.#refuse("tls", reasonOf(error), socket));
    }
  }

  /** Why it no longer listens. */
  get failed(): string | undefined {
    return this.#failed;
  }

  /** Returns the port, 0 for a Unix socket. Fault `peer.listen`. */
  async listen(binding: Binding): Promise<number> {
    const where = "path" in binding ? binding.path : `${binding.host}:${binding.port}`;
    try {
      await this.#bind(binding);
      // Who may write to the socket is a peer: the owner of this process and nobody else.
      if ("path" in binding) await chmod(binding.path, 0o600);
    } catch (cause) {
      throw fault("peer.listen", `cannot listen on ${where}: ${reasonOf(cause)}`, { cause });
    }
    this.#server.on("error", (error) => {
      this.#failed = reasonOf(error);
      this.#options.log.error("listener failed", { error });
    });
    const at = this.#server.address();
    return typeof at === "string" || at === null ? 0 : (at as AddressInfo).port;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const { socket } of [...this.#unproven.values()]) socket.destroy();
    // Resolves when the last connection has ended; those that were let in are closed by who has them.
    await closed;
  }

  async #bind(binding: Binding): Promise<void> {
    try {
      await this.#tryBind(binding);
    } catch (error) {
      // The file of a process that was killed stays; nobody answers there.
      if (!("path" in binding) || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      if (await answers(binding.path)) throw error;
      await unlink(binding.path);
      await this.#tryBind(binding);
    }
  }

  async #tryBind(binding: Binding): Promise<void> {
    this.#server.listen({ ...binding, backlog: 1024 });
    await once(this.#server, "listening");
  }

  #arrived(socket: Socket): void {
    socket.on("error", ignore);
    const { world, handshakes, connectTimeout } = this.#options;
    if (this.#unproven.size >= handshakes) {
      for (const { socket: oldest } of this.#unproven.values()) {
        this.#refuse("crowd", `more than ${handshakes} connections have proved nothing`, oldest);
        break;
      }
    }
    const end = remoteEnd(socket);
    const bound = world.timer(connectTimeout, () =>
      this.#refuse("timeout", `no handshake within ${connectTimeout} ms`, socket),
    );
    this.#unproven.set(end, { socket, bound });
    socket.once("close", () => this.#forget(end, socket));
  }

  async #prove(socket: Socket): Promise<void> {
    if (!socket.listeners("error").includes(ignore)) socket.on("error", ignore);
    const end = remoteEnd(socket);
    try {
      const from = await receive(socket, this.#options);
      const entry = this.#unproven.get(end);
      this.#forget(end, entry?.socket);
      if (socket.destroyed) return;
      this.#options.welcome(socket, from);
    } catch (error) {
      const { why, message } = error instanceof Refusal ? error : { why: "handshake", message: reasonOf(error) };
      // A connection that others ended, or that was refused for a reason of its own, has been told about already.
      if (why !== "closed") this.#refuse(why, message, socket);
      else socket.destroy();
    }
  }

  #forget(end: unknown, socket: Socket | undefined): void {
    const entry = this.#unproven.get(end);
    if (entry === undefined || entry.socket !== socket) return;
    entry.bound[Symbol.dispose]();
    this.#unproven.delete(end);
  }

  /** The verdict may still be on its way out, so the connection ends when it is written or when its time is over. */
  #refuse(why: string, message: string, socket: Socket): void {
    this.#options.refused(why);
    this.#refusals.say(why, { remote: socket.remoteAddress ?? "local", message });
    const answered = why === "proof" || why === "member" || why === "version";
    if (answered) socket.end(() => socket.destroy());
    else socket.destroy();
    this.#forget(remoteEnd(socket), socket);
  }
}

const ignore = () => {};

const remoteEnd = (socket: Socket): unknown =>
  socket.remotePort === undefined ? socket : `${socket.remoteAddress} ${socket.remotePort}`;

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => resolve(true)).once("error", () => resolve(false));
    probe.once("connect", () => probe.destroy());
  });
}
