import type { Socket } from "node:net";
import { Fault, type World } from "@heddle/plugin-sdk";

/** The largest frame; who has more to say says it in parts. */
export const frameBytes = 64 * 1024 * 1024;
const headBytes = 4;
/** Smaller rounds are written as one buffer; of larger ones each frame is handed over as it is. */
const joinedBytes = 64 * 1024;

export interface FrameHandler {
  /** Bytes of one frame; a view of a larger buffer that nobody writes to again. */
  frame(bytes: Uint8Array): void;
  /** Once, whoever closed. */
  closed(reason: Fault): void;
  /** What was to be sent is on its way to the other process. */
  drained?(): void;
}

/** Frames of bytes over a socket, each behind its length; what one round of the event loop sends is one write. */
export class FrameSocket {
  readonly #socket: Socket;
  readonly #world: World;
  readonly #handler: FrameHandler;
  readonly #name: string;
  #out: Uint8Array[] = [];
  #outBytes = 0;
  #flushing: Disposable | undefined;
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Length of the frame that is coming, with its head. */
  #wanted = headBytes;
  #closed = false;

  constructor(socket: Socket, { name, world, handler }: { name: string; world: World; handler: FrameHandler }) {
    this.#socket = socket;
    this.#name = name;
    this.#world = world;
    this.#handler = handler;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("drain", () => handler.drained?.());
    socket.on("error", (cause) => this.#close(cause));
    socket.on("close", () => this.#close());
  }

  /** Bytes that the system has not taken yet. */
  get unsent(): number {
    return this.#outBytes + this.#socket.writableLength;
  }

  /** Fault `workers.frame-too-large`; after the end of the connection nothing happens. */
  send(frame: Uint8Array): void {
    if (frame.length > frameBytes) {
      const text = `${this.#name}: a frame of ${frame.length} bytes, the limit is ${frameBytes}`;
      throw new Fault("invalid", "workers.frame-too-large", text);
    }
    if (this.#closed) return;
    const head = Buffer.allocUnsafe(headBytes);
    head.writeUInt32BE(frame.length);
    this.#out.push(head, frame);
    this.#outBytes += headBytes + frame.length;
    this.#flushing ??= this.#world.timer(0, () => this.#flush());
  }

  /** Stops reading until `resume`: the other process waits with its writes. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Writes what is to be written, then ends. */
  end(): void {
    if (this.#closed) return;
    this.#flush();
    this.#socket.end(() => this.#socket.destroy());
  }

  destroy(): void {
    this.#socket.destroy();
    this.#close();
  }

  #flush(): void {
    this.#flushing?.[Symbol.dispose]();
    this.#flushing = undefined;
    const out = this.#out;
    if (this.#closed || out.length === 0) return;
    const bytes = this.#outBytes;
    this.#out = [];
    this.#outBytes = 0;
    if (bytes <= joinedBytes) this.#socket.write(Buffer.concat(out, bytes));
    else {
      this.#socket.cork();
      for (const part of out) this.#socket.write(part);
      this.#socket.uncork();
    }
    if (!this.#socket.writableNeedDrain) this.#handler.drained?.();
  }

  #take(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#partBytes += chunk.length;
    if (this.#partBytes < this.#wanted) return;
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#partBytes);
    let at = 0;
    for (;;) {
      const left = bytes.length - at;
      this.#wanted = headBytes;
      if (left < headBytes) break;
      const length = bytes.readUInt32BE(at);
      if (length > frameBytes) {
        return this.#close(new Error(`a frame of ${length} bytes came, the limit is ${frameBytes}`));
      }
      this.#wanted = headBytes + length;
      if (left < this.#wanted) break;
      try {
        this.#handler.frame(bytes.subarray(at + headBytes, at + this.#wanted));
      } catch (error) {
        return this.#close(error as Error);
      }
      if (this.#closed) return;
      at += this.#wanted;
    }
    this.#parts = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#partBytes = bytes.length - at;
  }

  #close(cause?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#flushing?.[Symbol.dispose]();
    this.#out = [];
    this.#outBytes = 0;
    this.#parts = [];
    this.#socket.destroy();
    const why = cause === undefined ? "" : `: ${cause.message}`;
    this.#handler.closed(
      new Fault("unavailable", "workers.closed", `${this.#name}: the connection has ended${why}`, { cause }),
    );
  }
}
