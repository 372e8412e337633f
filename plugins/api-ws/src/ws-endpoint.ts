import type { HttpListener, Identity, Log, Metric } from "@heddle/plugin-sdk";
import { WebSocketServer } from "ws";
import type { Dialect } from "./commands.ts";
import type { CommandDeps } from "./ws-commands.ts";
import { WsConnection } from "./ws-connection.ts";

const base = "/api/ws";
/** Larger text frames are refused (websocket 1.8). */
const frameBytes = 32_768;
const dialects: ReadonlyMap<string, Dialect> = new Map([
  [base, "general"],
  [`${base}/plugins/telemetry`, "telemetry"],
  [`${base}/plugins/notifications`, "notifications"],
]);

interface Config {
  readonly authTimeout: number;
  readonly pingTimeout: number;
  readonly pending: number;
  readonly subscriptions: number;
  readonly intervals: number;
  readonly refresh: number;
}

interface Deps extends CommandDeps {
  readonly http: HttpListener;
  readonly identity: Identity;
  readonly log: Log;
}

/** `/api/ws` and the older paths on the shared listener. */
export class WsEndpoint {
  readonly #config: Config;
  readonly #deps: Deps;
  readonly #metrics: { readonly connections: Metric; readonly sent: Metric };
  #server: WebSocketServer | undefined;
  readonly #connections = new Set<WsConnection>();
  #mount: Disposable | undefined;
  #pinger: Disposable | undefined;

  constructor(config: Config, deps: Deps, metrics: { readonly connections: Metric; readonly sent: Metric }) {
    this.#config = config;
    this.#deps = deps;
    this.#metrics = metrics;
  }

  start(): void {
    const server = new WebSocketServer({ noServer: true, maxPayload: frameBytes, perMessageDeflate: false });
    this.#server = server;
    this.#mount = this.#deps.http.upgrade(base, (request, socket, head) => {
      const url = new URL(request.url ?? base, "http://any");
      server.handleUpgrade(request, socket, head, (opened) => {
        const dialect = dialects.get(url.pathname.replace(/\/$/, ""));
        if (dialect === undefined) return opened.close(1007, "Unknown session type");
        this.#open(new WsConnection(opened, this.#optionsFor(dialect, url.searchParams.get("token") ?? undefined)));
      });
    });
    this.#pingLater();
  }

  #optionsFor(dialect: Dialect, token: string | undefined) {
    return { deps: this.#deps, dialect, token, limits: this.#config, sent: () => this.#metrics.sent.record(1) };
  }

  #open(connection: WsConnection): void {
    this.#connections.add(connection);
    this.#metrics.connections.record(this.#connections.size);
    connection.signal.addEventListener("abort", () => {
      this.#connections.delete(connection);
      this.#metrics.connections.record(this.#connections.size);
    });
  }

  /** Three pings per time-out (websocket 1.8). */
  #pingLater(): void {
    const { world } = this.#deps;
    this.#pinger = world.timer(this.#config.pingTimeout / 3, () => {
      const silentSince = world.elapsed() - this.#config.pingTimeout;
      for (const connection of [...this.#connections]) {
        if (connection.lastPong < silentSince) connection.unreliable();
        else connection.ping();
      }
      this.#pingLater();
    });
  }

  async stop(): Promise<void> {
    this.#mount?.[Symbol.dispose]();
    this.#pinger?.[Symbol.dispose]();
    for (const connection of [...this.#connections]) connection.leave();
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}
