import type { Socket } from "node:net";
import type { Log } from "@heddle/plugin-sdk";
import { FrameCutter } from "./frame-cutter.ts";
import { beatWord, type Counts, headBytes, silentBeats } from "./wire.ts";

export interface InboundOptions {
  readonly socket: Socket;
  /** Name of the peer. */
  readonly from: string;
  readonly log: Log;
  readonly frameBytes: number;
  readonly counts: Counts;
  onFrame(from: string, frame: Uint8Array): Promise<void> | void;
}

/** Frames of one peer, one after the other: while the receiver works on one, no more than a chunk is read ahead. */
export class Inbound {
  readonly from: string;
  /** Resolves when no frame of this connection is or will be with the receiver. */
  readonly drained: Promise<void>;
  readonly #options: InboundOptions;
  readonly #cutter: FrameCutter;
  #drain: () => void = () => {};
  /** Came while the receiver was busy; the socket is paused then. */
  #held: Buffer | undefined;
  #started = false;
  #busy = false;
  #stopped = false;
  #silent = 0;

  constructor(options: InboundOptions) {
    this.#options = options;
    this.from = options.from;
    this.#cutter = new FrameCutter(options.frameBytes);
    this.drained = new Promise((resolve) => {
      this.#drain = resolve;
    });
    const { socket, from, log } = options;
    socket.on("error", (error) => log.debug("connection from peer broke", { from, error }));
    socket.on("close", () => this.#settle());
  }

  /** False for one that only finishes what it has read. */
  get open(): boolean {
    return !this.#options.socket.destroyed;
  }

  /** Begins when the connection before it is drained: frames of a pair keep their order across connections. */
  async serve(before: Promise<void> | undefined): Promise<void> {
    await before;
    this.#started = true;
    const { socket } = this.#options;
    if (socket.destroyed) return this.#settle();
    socket.on("data", this.#read);
    socket.resume();
  }

  /** Once per heartbeat. A peer is not silent while it is not read. */
  tick(): void {
    const { socket, from, log } = this.#options;
    if (socket.destroyed) return;
    if (!socket.writableNeedDrain) socket.write(beatWord);
    this.#silent = this.#busy || !this.#started ? 0 : this.#silent + 1;
    if (this.#silent <= silentBeats) return;
    log.warn("peer is silent, connection closed", { from, heartbeats: silentBeats });
    socket.destroy();
  }

  /** Reads no more; the frames that were read already still go to the receiver, unless `now`. */
  close(now = false): void {
    if (now) this.#stopped = true;
    this.#options.socket.destroy();
  }

  readonly #read = (chunk: Buffer): void => {
    this.#silent = 0;
    if (this.#busy) {
      this.#held = chunk;
      this.#options.socket.pause();
      return;
    }
    this.#cutter.feed(chunk);
    this.#run();
  };

  #run(): void {
    const { from, counts } = this.#options;
    while (!this.#stopped) {
      const frame = this.#cutter.next();
      if (typeof frame === "number") return this.#oversize(frame);
      if (frame === undefined) {
        if (this.#held === undefined) break;
        this.#cutter.feed(this.#held);
        this.#held = undefined;
        this.#options.socket.resume();
        continue;
      }
      counts.framesIn += 1;
      counts.bytesIn += headBytes + frame.length;
      try {
        const work = this.#options.onFrame(from, frame);
        if (work !== undefined) return this.#await(work);
      } catch (error) {
        this.#failed(error);
      }
    }
    this.#settle();
  }

  #await(work: Promise<void>): void {
    this.#busy = true;
    work.then(this.#next, (error) => {
      this.#failed(error);
      this.#next();
    });
  }

  readonly #next = (): void => {
    this.#busy = false;
    this.#run();
  };

  #failed(error: unknown): void {
    this.#options.log.error("receiver failed on a frame", { from: this.from, error });
  }

  #oversize(length: number): void {
    const { socket, from, log, frameBytes } = this.#options;
    log.warn("peer announced a frame over the limit, connection closed", { from, bytes: length, limit: frameBytes });
    this.#stopped = true;
    this.#settle();
    socket.destroy();
  }

  #settle(): void {
    if (this.#started && !this.#busy && this.#options.socket.destroyed) this.#drain();
  }
}
