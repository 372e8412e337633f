import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Fault, type Health, type ReadyNotes } from "@heddle/plugin-sdk";
import { Connection } from "./connection.ts";
import { Connections, type ConnectionsOptions } from "./connections.ts";

export interface MqttTransportOptions extends ConnectionsOptions {
  readonly notes: ReadyNotes;
  readonly host: string;
  readonly port: number;
  /** Files in PEM form. */
  readonly tls: { readonly cert: string; readonly key: string; readonly port: number } | undefined;
}

const owner = Symbol("connection");
/** Listeners are shared by all sockets and find their connection here: an idle device costs no closures. */
type OwnedSocket = Socket & { [owner]?: Connection };

function onData(this: OwnedSocket, chunk: Buffer): void {
  this[owner]!.receive(chunk);
}
function onDrain(this: OwnedSocket): void {
  this[owner]!.drain();
}
function onClose(this: OwnedSocket): void {
  const connection = this[owner]!;
  connection.common.remove(connection);
  connection.closed();
}
/** A reset or a broken pipe; `close` follows and does what is to be done. */
function onError(): void {}

/** The listeners for devices, and the way in for their sockets. */
export class MqttTransport implements AsyncDisposable {
  readonly #options: MqttTransportOptions;
  readonly #connections: Connections;
  readonly #servers: Server[] = [];
  readonly #addresses: string[] = [];
  /** Sockets under TLS, which are no connections before the handshake is done. */
  readonly #encrypted = new Set<Socket>();

  constructor(options: MqttTransportOptions) {
    this.#options = options;
    this.#connections = new Connections(options);
  }

  /** `mqtt://host:port` and, where it is served, `mqtts://host:port`. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  get connections(): number {
    return this.#connections.size;
  }

  async start(signal: AbortSignal): Promise<void> {
    const { port, tls, notes, log } = this.#options;
    signal.throwIfAborted();
    await this.#listen("mqtt", createServer({ noDelay: true }), port);
    if (tls !== undefined) await this.#listen("mqtts", await this.#tlsServer(tls), tls.port);
    this.#connections.start();
    log.info("listening", { addresses: this.#addresses });
    notes.add({ title: "MQTT", lines: this.#addresses, example: exampleFor(this.#addresses[0] ?? "") });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const servers = this.#servers.splice(0);
    if (servers.length === 0) return;
    this.#addresses.length = 0;
    const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    await this.#connections.stop();
    for (const socket of this.#encrypted) socket.destroy();
    await Promise.all(closed);
    this.#options.log.info("stopped", {});
  }

  health(): Health {
    return this.#servers.length > 0 ? { state: "up" } : { state: "down", detail: "not listening" };
  }

  async #tlsServer({ cert, key }: { readonly cert: string; readonly key: string }): Promise<Server> {
    let server: Server;
    try {
      server = createTlsServer({
        cert: await readFile(cert),
        key: await readFile(key),
        minVersion: "TLSv1.2",
        // Unknown certificates pass the handshake; the CONNECT decides by the leaf (device-api 1.4).
        requestCert: true,
        rejectUnauthorized: false,
        handshakeTimeout: this.#options.limits.connectMs,
        noDelay: true,
      });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Fault("invalid", "mqtt.tls", `cannot use the certificate ${cert} with the key ${key}: ${why}`, {
        cause,
      });
    }
    server.on("connection", (socket: Socket) => {
      this.#encrypted.add(socket);
      socket.once("close", () => this.#encrypted.delete(socket));
    });
    server.on("tlsClientError", () => this.#connections.reject("handshake"));
    return server;
  }

  async #listen(scheme: "mqtt" | "mqtts", server: Server, port: number): Promise<void> {
    const { host, limits, log } = this.#options;
    server.maxConnections = limits.connections;
    server.on(scheme === "mqtt" ? "connection" : "secureConnection", (socket: Socket) => this.#accept(socket));
    server.listen({ host, port, backlog: 4096 });
    try {
      await once(server, "listening");
    } catch (cause) {
      await this[Symbol.asyncDispose]();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Fault("unavailable", "mqtt.listen", `cannot listen on ${host}:${port}: ${why}`, { cause });
    }
    server.on("error", (error) => log.error("listener failed", { scheme, error }));
    this.#servers.push(server);
    const at = server.address() as AddressInfo;
    this.#addresses.push(`${scheme}://${at.family === "IPv6" ? `[${at.address}]` : at.address}:${at.port}`);
  }

  #accept(socket: OwnedSocket): void {
    const { proxied, sessions } = this.#options;
    if (!proxied && sessions.isBlocked(socket.remoteAddress ?? "")) {
      this.#connections.reject("blocked");
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this.#connections);
    socket[owner] = connection;
    this.#connections.add(connection);
    socket.on("error", onError).on("close", onClose).on("data", onData).on("drain", onDrain);
  }
}

/** A command with the client that every tutorial uses. */
function exampleFor(address: string): string {
  const { hostname, port } = new URL(address);
  const host = hostname === "0.0.0.0" ? "127.0.0.1" : hostname;
  return `mosquitto_pub -q 1 -h ${host} -p ${port} -u {token} -t v1/devices/me/telemetry -m '{"temperature":26}'`;
}
