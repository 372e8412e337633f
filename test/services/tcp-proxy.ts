import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP proxy in front of one endpoint: what a test cuts when the service itself must not notice more than that. */
export class TcpProxy implements AsyncDisposable {
  /** `host:port` behind it. */
  readonly target: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #state: "open" | "cut" | "stalled" = "open";

  static async open(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  private constructor(target: string) {
    this.target = target;
    const [host, port] = target.split(":");
    this.#server = createServer((client) => {
      if (this.#state === "cut") return void client.destroy();
      const upstream = connect({ host: host as string, port: Number(port) });
      this.#keep(client, upstream);
      this.#keep(upstream, client);
      client.pipe(upstream);
      upstream.pipe(client);
      if (this.#state === "stalled") for (const socket of [client, upstream]) socket.pause();
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Ends every connection and refuses new ones until `heal`. */
  cut(): void {
    this.#state = "cut";
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Connections stay, nothing passes until `heal`. */
  stall(): void {
    this.#state = "stalled";
    for (const socket of this.#sockets) socket.pause();
  }

  heal(): void {
    this.#state = "open";
    for (const socket of this.#sockets) socket.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #keep(socket: Socket, other: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    // Errors end the pair as a broken cable would; what a client makes of that is what the test looks at.
    socket.on("error", () => other.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      other.destroy();
    });
  }
}
