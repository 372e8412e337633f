import type { Socket } from "node:net";
import { onAbort } from "@heddle/plugin-sdk";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";

/** What is written to one socket: once per turn of the loop, and no more than the device reads. */
export class Outbox {
  readonly #socket: Socket;
  readonly #common: Connections;
  #bytes: Buffer[] | undefined;
  #size = 0;
  /** Unread bytes that are not held against the device: it asked for them. */
  #allowance = 0;
  #waiting: (() => void)[] | undefined;

  constructor(socket: Socket, common: Connections) {
    this.#socket = socket;
    this.#common = common;
  }

  send(connection: Connection, bytes: Buffer, patient: boolean): void {
    if (patient) this.#allowance += bytes.length;
    if (this.#bytes === undefined) {
      this.#bytes = [bytes];
      this.#common.flushSoon(connection);
    } else this.#bytes.push(bytes);
    this.#size += bytes.length;
    // Judged with every message: of thousands pushed in one go none has reached the socket yet.
    const allowed = this.#common.limits.unsent + this.#allowance;
    if (this.#socket.writableLength + this.#size > allowed) this.#common.dropSlow(connection);
  }

  flush(): void {
    const bytes = this.#bytes;
    if (bytes === undefined) return;
    this.#bytes = undefined;
    this.#common.counts.outbound += this.#size;
    this.#size = 0;
    if (this.#socket.destroyed) return;
    const below = this.#socket.write(bytes.length === 1 ? bytes[0]! : Buffer.concat(bytes));
    // Below its mark the socket never says that it has drained.
    if (below && this.#allowance > 0) this.drain();
  }

  /** Resolves when what a device asked for has been read; the signal's reason otherwise. */
  drained(signal: AbortSignal): Promise<void> {
    if (this.#allowance === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting ??= [];
      this.#waiting.push(resolve);
      onAbort(signal, () => reject(signal.reason));
    });
  }

  /** The socket has taken everything. */
  drain(): void {
    this.#allowance = 0;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    for (const resume of waiting ?? []) resume();
  }
}
