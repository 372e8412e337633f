import type { Socket } from "node:net";
import type { Log, World } from "@heddle/plugin-sdk";
import { fault, reasonOf } from "./faults.ts";
import { Refusal } from "./handshake.ts";
import { Outbox } from "./outbox.ts";
import { type Counts, headBytes, silentBeats } from "./wire.ts";

const firstBackoffMs = 50;
const longestBackoffMs = 1_000;
/** What a waiting send costs beside its frame. */
const waiterBytes = 256;
/** For what is queued when the link stops. */
const flushMs = 1_000;

export interface OutgoingOptions {
  readonly world: World;
  readonly log: Log;
  readonly address: string;
  readonly limits: {
    readonly pendingBytes: number;
    readonly waitingBytes: number;
    readonly heartbeat: number;
    readonly connectTimeout: number;
  };
  readonly counts: Counts;
  dial(signal: AbortSignal): Promise<Socket>;
}

interface Waiter {
  readonly frame: Uint8Array;
  resolve(): void;
  reject(reason: unknown): void;
}

interface Open {
  readonly socket: Socket;
  readonly outbox: Outbox;
  readonly since: number;
  silent: number;
}

/** All that this node sends to one address: one connection at a time, made when something is sent. */
export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #closing = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #waitingBytes = 0;
  #open: Open | undefined;
  #dialing = false;
  #failures = 0;
  #connects = 0;
  /** Said once, until there is a connection again. */
  #unreachable = false;
  #notBefore = 0;

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#open !== undefined;
  }

  get queued(): number {
    return this.#open?.outbox.queued ?? 0;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** True when dropping this object loses nothing. */
  get idle(): boolean {
    const resting = this.#options.world.elapsed() >= this.#notBefore;
    return this.#open === undefined && !this.#dialing && this.#waiters.size === 0 && resting;
  }

  send(frame: Uint8Array, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    if (this.#waiters.size > 0 || !this.#hand(frame)) return this.#wait(frame, signal);
    return done;
  }

  /** Once per heartbeat. */
  tick(): void {
    const open = this.#open;
    if (open === undefined) return;
    open.silent += 1;
    if (open.silent <= silentBeats) return open.outbox.beat();
    this.#options.log.warn("peer is silent, connection given up", {
      peer: this.#options.address,
      heartbeats: silentBeats,
      unsentBytes: open.outbox.queued,
    });
    open.socket.destroy();
  }

  /** Waiting sends fail; what was handed over is written, for a short while. The peer ends the connection after us. */
  async close(): Promise<void> {
    const { world, address } = this.#options;
    const reason = fault("peer.closed", `the link stopped before ${address} took the frame`);
    this.#closing.abort(reason);
    this.#rejectAll(reason);
    const open = this.#open;
    if (open === undefined) return;
    const { socket, outbox } = open;
    await new Promise<void>((resolve) => {
      const bound = world.timer(flushMs, () => socket.destroy());
      socket.once("close", () => {
        bound[Symbol.dispose]();
        resolve();
      });
      if (outbox.queued === 0) socket.end();
    });
  }

  /** False when there is no connection or no room. An empty queue takes a frame of any size. */
  #hand(frame: Uint8Array): boolean {
    const outbox = this.#open?.outbox;
    if (outbox === undefined) return false;
    const { counts, limits } = this.#options;
    if (outbox.queued > 0 && outbox.queued + headBytes + frame.length > limits.pendingBytes) return false;
    outbox.put(frame);
    counts.framesOut += 1;
    counts.bytesOut += headBytes + frame.length;
    return true;
  }

  #wait(frame: Uint8Array, signal: AbortSignal): Promise<void> {
    const { address, limits } = this.#options;
    const cost = frame.length + waiterBytes;
    if (this.#waiters.size > 0 && this.#waitingBytes + cost > limits.waitingBytes) {
      const held = `${this.#waiters.size} sends to ${address} wait with ${this.#waitingBytes} bytes`;
      return Promise.reject(fault("peer.overloaded", `${held}, the limit is ${limits.waitingBytes}`));
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        signal.removeEventListener("abort", abort);
        this.#waiters.delete(waiter);
        this.#waitingBytes -= cost;
      };
      const waiter: Waiter = {
        frame,
        resolve: () => {
          leave();
          resolve();
        },
        reject: (reason) => {
          leave();
          reject(reason);
        },
      };
      const abort = () => waiter.reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      this.#waiters.add(waiter);
      this.#waitingBytes += cost;
      if (this.#open === undefined && !this.#dialing) void this.#connect();
    });
  }

  /** Every send that waits now gets the outcome of an attempt that ends after it was called. */
  async #connect(): Promise<void> {
    const { address, log, world } = this.#options;
    this.#dialing = true;
    try {
      this.#opened(await this.#attempt());
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const why = reasonOf(error);
      if (!this.#unreachable) log.warn("peer cannot be reached", { peer: address, why });
      this.#unreachable = true;
      const retryAfterMs = Math.max(0, Math.ceil(this.#notBefore - world.elapsed()));
      this.#rejectAll(
        fault("peer.unreachable", `peer ${address} cannot be reached: ${why}`, { cause: error, retryAfterMs }),
      );
    } finally {
      this.#dialing = false;
    }
  }

  /** One attempt, and more of them while the peer does not know us as a member: its view may be behind. */
  async #attempt(): Promise<Socket> {
    const { world, limits } = this.#options;
    const timeout = new AbortController();
    const signal = AbortSignal.any([timeout.signal, this.#closing.signal]);
    let failure: unknown = new Error(`no proven connection within ${limits.connectTimeout} ms`);
    const pause = () => world.sleep(Math.max(0, this.#notBefore - world.elapsed()), signal);
    await pause();
    using _ = world.timer(limits.connectTimeout, () => timeout.abort(failure));
    for (;;) {
      try {
        return await this.#options.dial(signal);
      } catch (error) {
        this.#backOff();
        if (!(error instanceof Refusal && error.later)) throw error;
        failure = error;
      }
      await pause();
    }
  }

  #backOff(): void {
    const { world } = this.#options;
    const most = Math.min(longestBackoffMs, firstBackoffMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    this.#notBefore = world.elapsed() + most * (0.5 + world.random() / 2);
  }

  #opened(socket: Socket): void {
    if (this.#closing.signal.aborted) return void socket.destroy();
    const { world, log, address, counts } = this.#options;
    const open: Open = { socket, outbox: new Outbox(socket, this.#room), since: world.elapsed(), silent: 0 };
    this.#open = open;
    this.#unreachable = false;
    if (this.#connects++ > 0) counts.reconnects += 1;
    log.info("connected to peer", { peer: address });
    socket.on("error", (error) => log.debug("connection to peer broke", { peer: address, error }));
    socket.on("close", () => this.#lost(open));
    socket.on("data", () => {
      open.silent = 0;
    });
    socket.resume();
    if (socket.destroyed) return this.#lost(open);
    this.#room();
  }

  readonly #room = (): void => {
    for (const waiter of this.#waiters) {
      if (!this.#hand(waiter.frame)) return;
      waiter.resolve();
    }
    if (this.#closing.signal.aborted && this.queued === 0) this.#open?.socket.end();
  };

  /** What was handed over is lost: it may have been written, and is never written twice. */
  #lost(open: Open): void {
    if (this.#open !== open) return;
    const { world, log, address, limits } = this.#options;
    this.#open = undefined;
    log.info("connection to peer closed", { peer: address, unsentBytes: open.outbox.queued });
    // A peer that takes connections and drops them is not dialled in a tight loop.
    if (world.elapsed() - open.since > limits.heartbeat) this.#failures = 0;
    this.#backOff();
    if (this.#waiters.size > 0 && !this.#dialing && !this.#closing.signal.aborted) void this.#connect();
  }

  #rejectAll(reason: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.reject(reason);
  }
}

const done = Promise.resolve();
