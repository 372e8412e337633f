import { Duplex } from "node:stream";

export interface FrameGateOptions {
  readonly socket: Duplex;
  /** What was read of it already. */
  readonly head: Buffer;
  /** Largest remaining length of a packet, bytes (MQTT 3.1.1, 2.2.3). */
  readonly maxPacket: number;
  onTooLarge(bytes: number): void;
}

/** A connection that ends at a packet which is too large: the engine behind it would keep any packet until it is whole. */
export class FrameGate extends Duplex {
  readonly #options: FrameGateOptions;
  /** Of the packet that is passing. */
  #left = 0;
  /** Weight of the next byte of a remaining length; 0 between packets. */
  #weight = 0;
  #length = 0;

  constructor(options: FrameGateOptions) {
    super({ allowHalfOpen: false });
    this.#options = options;
    const { socket, head } = options;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("end", () => this.push(null));
    socket.on("close", () => this.destroy());
    socket.on("error", () => this.destroy());
    this.#take(head);
    socket.resume();
  }

  #take(chunk: Buffer): void {
    if (this.destroyed) return;
    if (!this.#passes(chunk)) this.destroy();
    else if (!this.push(chunk)) this.#options.socket.pause();
  }

  #passes(chunk: Buffer): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const passing = Math.min(this.#left, chunk.length - at);
        this.#left -= passing;
        at += passing;
      } else if (this.#weight === 0) {
        this.#weight = 1;
        this.#length = 0;
        at++;
      } else if (!this.#measure(chunk[at++] as number)) return false;
    }
    return true;
  }

  /** False when the packet is too large, or its length no length. */
  #measure(byte: number): boolean {
    this.#length += (byte & 127) * this.#weight;
    if (this.#length > this.#options.maxPacket) {
      this.#options.onTooLarge(this.#length);
      return false;
    }
    if ((byte & 128) === 0) {
      this.#left = this.#length;
      this.#weight = 0;
      return true;
    }
    this.#weight *= 128;
    return this.#weight <= 128 ** 3;
  }

  override _read(): void {
    this.#options.socket.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#options.socket.write(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#options.socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: () => void): void {
    this.#options.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#options.socket.destroy();
    done(error);
  }
}
