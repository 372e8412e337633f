import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  asFault,
  Fault,
  type HttpHandler,
  type HttpListener,
  type LaunchOptions,
  type Log,
  type Metric,
  type Observability,
  type ReadyNotes,
  type UpgradeHandler,
  type World,
} from "@heddle/plugin-sdk";
import { Mounts } from "./mounts.ts";

interface Config {
  readonly port: number;
  readonly host?: string | undefined;
  readonly headerTimeout: number;
  readonly requestTimeout: number;
}

interface Deps {
  readonly world: World;
  readonly log: Log;
  readonly observability: Observability;
  readonly notes: ReadyNotes;
  readonly launch: LaunchOptions;
}

/** Requests in progress get this long to end when the listener stops. */
const drainMs = 2_000;
/** How often connections whose last request has ended are closed meanwhile. */
const idleMs = 50;
/** How long the queue may take to tell how far lanes are behind. */
const statusMs = 5_000;

export class SharedHttpListener implements HttpListener {
  readonly #config: Config;
  readonly #deps: Deps;
  readonly #metrics: { readonly requests: Metric; readonly connections: Metric };
  readonly #handlers = new Mounts<HttpHandler>();
  readonly #upgrades = new Mounts<UpgradeHandler>();
  readonly #server: Server;
  /** Also those that were upgraded, which the server itself forgets. */
  readonly #open = new Set<Socket>();

  constructor(config: Config, deps: Deps, metrics: { readonly requests: Metric; readonly connections: Metric }) {
    this.#config = config;
    this.#deps = deps;
    this.#metrics = metrics;
    this.#server = createServer({
      headersTimeout: config.headerTimeout,
      requestTimeout: config.requestTimeout,
      noDelay: true,
    });
    this.#server.on("request", (request, response) => this.#handle(request, response));
    this.#server.on("error", (error) => {
      if (this.#server.listening) this.#deps.log.error("http listener failed", { error });
    });
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on("connection", (socket) => {
      this.#metrics.connections.record(this.#open.add(socket).size);
      socket.once("close", () => {
        this.#open.delete(socket);
        this.#metrics.connections.record(this.#open.size);
      });
    });
    this.#mountObservability();
  }

  get address(): { readonly host: string; readonly port: number } {
    const address = this.#server.address() as AddressInfo | null;
    if (address === null) throw new Fault("unavailable", "http.listen", "the listener has not started");
    return { host: address.address, port: address.port };
  }

  async start(): Promise<void> {
    const { port } = this.#config;
    const host = this.#config.host ?? (this.#deps.launch.demo ? "127.0.0.1" : "0.0.0.0");
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: Error) =>
        reject(
          new Fault("unavailable", "http.listen", `cannot listen on ${host}:${port}: ${cause.message}`, { cause }),
        );
      this.#server.once("error", failed);
      this.#server.listen(port, host, () => {
        this.#server.off("error", failed);
        resolve();
      });
    });
    const address = `http://${host}:${this.address.port}`;
    const example = `curl -X POST --data '{"temperature":25}' ${address.replace("//0.0.0.0", "//127.0.0.1")}/api/v1/{token}/telemetry`;
    this.#deps.notes.add({ title: "HTTP", lines: [address], example });
  }

  mount(prefix: string, handle: HttpHandler): Disposable {
    return this.#handlers.add(prefix, handle);
  }

  upgrade(prefix: string, handle: UpgradeHandler): Disposable {
    return this.#upgrades.add(prefix, handle);
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const mount = this.#handlers.find(request.url ?? "/");
    if (mount === undefined) {
      answer(response, 404, "application/json", '{"status":404,"message":"Not found"}');
      return;
    }
    this.#metrics.requests.record(1, { mount: mount.prefix });
    mount.handle(request, response);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const mount = this.#upgrades.find(request.url ?? "/");
    // The server listens no more to an upgraded socket; an error that nobody hears ends the process.
    socket.on("error", (error) => this.#deps.log.debug("upgraded connection failed", { error }));
    if (mount === undefined) socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    else mount.handle(request, socket, head);
  }

  #mountObservability(): void {
    const { observability } = this.#deps;
    this.mount("/metrics", (_request, response) => {
      answer(response, 200, "text/plain; version=0.0.4; charset=utf-8", observability.metrics());
    });
    this.mount("/cluster", (_request, response) => {
      observability.cluster({ signal: AbortSignal.timeout(statusMs) }).then(
        (status) => answer(response, 200, "application/json", JSON.stringify(status)),
        (error) => answer(response, 503, "application/json", JSON.stringify({ error: asFault(error).message })),
      );
    });
    this.mount("/health/live", (_request, response) => answer(response, 200, "application/json", '{"state":"up"}'));
    this.mount("/health/ready", (_request, response) => {
      observability.health().then(
        (health) => answer(response, health.ready ? 200 : 503, "application/json", JSON.stringify(health)),
        (error: Error) =>
          answer(response, 500, "application/json", JSON.stringify({ state: "down", detail: error.message })),
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // A connection whose request has ended is idle, and its client may keep it open for long.
    const closeIdle = (): Disposable => {
      this.#server.closeIdleConnections();
      return this.#deps.world.timer(idleMs, () => {
        idle = closeIdle();
      });
    };
    let idle = closeIdle();
    const cut = this.#deps.world.timer(drainMs, () => {
      for (const socket of this.#open) socket.destroy();
    });
    await closed;
    cut[Symbol.dispose]();
    idle[Symbol.dispose]();
  }
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  response.end(body);
}
