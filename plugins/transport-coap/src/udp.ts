import { createSocket, type Socket } from "node:dgram";
import { Fault, type Log } from "@heddle/plugin-sdk";
import type { Datagrams, Endpoint, Receive } from "./datagrams.ts";

export interface UdpOptions {
  readonly port: number;
  readonly host: string;
  /** Wanted size of the system's receive buffer; the system may grant less. */
  readonly receiveBuffer: number;
  readonly log: Log;
  readonly receive: Receive;
  dropped(): void;
}

/** Beyond so many bytes that the system has not taken, answers are dropped: their requests are sent again. */
const mostQueuedBytes = 8 * 1024 * 1024;

export class UdpDatagrams implements Datagrams, AsyncDisposable {
  readonly #socket: Socket;
  readonly #options: UdpOptions;
  #failure: string | undefined;
  #open = false;

  constructor(options: UdpOptions) {
    this.#options = options;
    const type = options.host.includes(":") ? "udp6" : "udp4";
    const family = type === "udp6" ? 6 : 4;
    // Peers come as addresses; looking one up would cost a turn of the loop for each answer.
    this.#socket = createSocket({ type, lookup: (address, _options, found) => found(null, address, family) });
  }

  /** The trouble the socket is in; gone when it receives again. */
  get failure(): string | undefined {
    return this.#failure;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  async open(): Promise<void> {
    const { port, host, receiveBuffer, log, receive } = this.#options;
    const socket = this.#socket;
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: Error) => {
        socket.close();
        reject(
          new Fault("unavailable", "coap.listen", `cannot listen on ${host}:${port}: ${cause.message}`, { cause }),
        );
      };
      socket.once("error", failed);
      // Datagrams have no connection to follow: the socket belongs to this process alone.
      socket.bind({ port, address: host, exclusive: true }, () => {
        socket.off("error", failed);
        this.#open = true;
        resolve();
      });
    });
    socket.on("error", (error) => {
      this.#failure = error.message;
      log.error("coap socket failed", { error });
    });
    try {
      socket.setRecvBufferSize(receiveBuffer);
    } catch (error) {
      log.warn("the receive buffer keeps its size", { wanted: receiveBuffer, error });
    }
    socket.on("message", (bytes, { address, port: from }) => {
      // A forged source port of 0 cannot be answered.
      this.#failure = undefined;
      if (from !== 0) receive(bytes, { address, port: from, key: `${address}:${from}` });
    });
  }

  send(bytes: Buffer, to: Endpoint): void {
    if (!this.#open || this.#socket.getSendQueueSize() > mostQueuedBytes) return this.#options.dropped();
    // No callback: it would cost a tick for each, and an unreachable peer is no trouble of ours.
    this.#socket.send(bytes, 0, bytes.length, to.port, to.address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}
