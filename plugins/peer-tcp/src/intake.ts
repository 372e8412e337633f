import type { Socket } from "node:net";

/** Exact numbers of bytes from a socket, which is read on only as long as they are not there. */
export class Intake {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #wake = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#arrived).on("close", this.#closed);
  }

  /** Undefined when the connection ends first. */
  async read(count: number): Promise<Buffer | undefined> {
    while (this.#bytes.length < count) {
      if (this.#socket.destroyed) return undefined;
      this.#socket.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  /** Leaves the socket paused, with what was not asked for. */
  release(): void {
    const socket = this.#socket;
    socket.off("data", this.#arrived).off("close", this.#closed);
    socket.pause();
    if (this.#bytes.length > 0 && !socket.destroyed) socket.unshift(this.#bytes);
  }

  readonly #arrived = (chunk: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#socket.pause();
    this.#wake();
  };

  readonly #closed = (): void => this.#wake();
}
