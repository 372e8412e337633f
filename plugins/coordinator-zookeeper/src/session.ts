import { setMaxListeners } from "node:events";
import { type Fault, isFault, type Log, type World } from "@heddle/plugin-sdk";
import { fault } from "./faults.ts";
import { type Gate, gate, unlessAborted } from "./gate.ts";
import { codes, Handle, isCode } from "./handle.ts";
import type { MakeClient } from "./native.ts";

export interface SessionMeter {
  state(state: "connected" | "disconnected" | "expired" | "lost"): void;
  reconnect(): void;
  heartbeat(seconds: number): void;
}

export interface SessionOptions {
  readonly world: World;
  readonly log: Log;
  readonly meter: SessionMeter;
  readonly client: MakeClient;
  /** As configured; for messages. */
  readonly servers: string;
  /** In numbers, anew for each handle: names may have moved. */
  readonly addresses: () => Promise<string>;
  /** Asked for, ms; the server has the last word. */
  readonly timeoutMs: number;
  /** `user:password`. */
  readonly digest: string | undefined;
}

/** Pause before a request that lost its connection is sent again, ms. */
const retryMs = 50;
const unanswered = [
  codes.connectionLoss,
  codes.operationTimeout,
  codes.invalidState,
  codes.closing,
  codes.sessionMoved,
] as const;

/**
 * A session and the lease that it grants. The lease counts from the moment the newest answered `sync` was sent. A read
 * would prove nothing: a follower that has lost its leader goes on answering reads while the leader lets the session
 * expire. The leader's clock for this session started again no earlier than half a tick before that moment, and the
 * shortest session is two ticks, so two thirds of the timeout end before it evicts us.
 *
 * Handles come and go under it: one that gets no answer is given up for another that takes the same session over at
 * another server.
 */
export class Session {
  /** Called when anything may have changed (undefined), or what is watched at a path. */
  onChange: (path: string | undefined) => void = () => {};
  readonly #options: SessionOptions;
  readonly #ended = new AbortController();
  readonly #closed = new AbortController();
  #timeoutMs: number;
  #handle: Handle | undefined;
  #identity: Handle["session"] | undefined;
  #connected = false;
  /** Opens when the current handle has caught up with the leader. */
  #usable: Gate = gate();
  #synced = false;
  #renewing = false;
  #asking: Handle | undefined;
  #provenAt = Number.NEGATIVE_INFINITY;
  #attempts = 0;
  #trouble: unknown;
  #pulse: Disposable | undefined;
  #deadline: Disposable | undefined;

  /** Resolves with the first proof; fault `coordinator.unreachable` when the signal aborts before. */
  static async open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    const session = new Session(options);
    const waiting = options.world.timer(options.timeoutMs, () =>
      options.log.warn("no ZooKeeper server answers, trying on", { servers: options.servers, error: session.#trouble }),
    );
    try {
      void session.#renew();
      session.#beat();
      await unlessAborted(session.#usable.opened, AbortSignal.any([signal, session.ended]));
      return session;
    } catch (error) {
      await session.close();
      throw signal.aborted ? session.#unreachable(signal.reason) : error;
    } finally {
      waiting[Symbol.dispose]();
    }
  }

  private constructor(options: SessionOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs;
    setMaxListeners(0, this.#ended.signal, this.#closed.signal);
  }

  /** Negotiated, ms. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** The lease is over, or the session itself; its reason is the fault. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  get connected(): boolean {
    return this.#connected && this.#synced;
  }

  get validUntil(): number {
    return this.#provenAt + (this.#timeoutMs * 2) / 3;
  }

  /** Sends again what lost its connection, until the signal aborts; what it sends must bear that. */
  async run<T>(signal: AbortSignal, request: (handle: Handle) => Promise<T>): Promise<T> {
    const stop = AbortSignal.any([signal, this.#closed.signal]);
    for (;;) {
      if (!this.#synced) await unlessAborted(this.#usable.opened, stop);
      stop.throwIfAborted();
      try {
        return await unlessAborted(request(this.#handle as Handle), stop);
      } catch (error) {
        if (isCode(error, codes.sessionExpired)) throw this.#expire();
        if (!isCode(error, ...unanswered)) throw error;
      }
      await this.#options.world.sleep(retryMs, stop);
    }
  }

  /** Lets go of the connection; what the session holds stays until it expires. */
  async close(): Promise<void> {
    this.#closed.abort(fault("coordinator.left", "this membership has been given up"));
    this.#end(this.#closed.signal.reason as Fault);
    this.#pulse?.[Symbol.dispose]();
    const handle = this.#handle;
    this.#handle = undefined;
    await this.#abandon(handle);
  }

  async #abandon(handle: Handle | undefined): Promise<void> {
    try {
      await handle?.abandon();
    } catch (error) {
      this.#options.log.error("the ZooKeeper client could not be closed", { error });
    }
  }

  async #renew(): Promise<void> {
    if (this.#renewing || this.#closed.signal.aborted) return;
    this.#renewing = true;
    this.#synced = false;
    this.#usable = this.#attempts === 0 ? this.#usable : reopened(this.#usable);
    try {
      const { world, client, timeoutMs, digest, meter } = this.#options;
      this.#identity = this.#identity === undefined ? undefined : (this.#handle?.session ?? this.#identity);
      const old = this.#handle;
      this.#handle = undefined;
      await this.#abandon(old);
      const connect = rotated(await this.#options.addresses(), this.#attempts);
      if (this.#attempts++ > 0) meter.reconnect();
      if (this.#closed.signal.aborted) return;
      const handle: Handle = new Handle(world, client(), {
        connected: () => this.#onConnected(handle),
        disconnected: () => this.#onDisconnected(),
        changed: (path) => this.onChange(path),
        closed: (code) => this.#onClosed(code),
      });
      this.#handle = handle;
      handle.open({ connect, timeout: timeoutMs, host_order_deterministic: true, ...this.#identity }, digest);
    } catch (error) {
      this.#trouble = error;
      if (isFault(error)) this.#end(error);
    } finally {
      this.#renewing = false;
    }
  }

  #onConnected(handle: Handle): void {
    const { timeoutMs } = handle;
    if (this.#identity === undefined) this.#timeoutMs = timeoutMs;
    else this.#options.log.info("connected to ZooKeeper again", { servers: this.#options.servers });
    // Servers that are configured differently may grant different times: the shortest is safe.
    this.#timeoutMs = Math.min(this.#timeoutMs, timeoutMs);
    this.#identity = handle.session;
    this.#connected = true;
    this.#options.meter.state("connected");
    // What was asked before may wait for an answer that went down with the old connection.
    this.#ask(handle);
    if (this.#synced) this.onChange(undefined);
  }

  #onDisconnected(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#options.meter.state("disconnected");
    this.#options.log.info("connection to ZooKeeper lost", { servers: this.#options.servers });
  }

  #onClosed(code: number): void {
    this.#onDisconnected();
    if (code === codes.ok) void this.#renew();
    else if (code === codes.authFailed || code === authFailedState) {
      this.#end(fault("coordinator.denied", `${this.#options.servers} takes no user and password`));
    } else if (this.#identity !== undefined) this.#expire();
  }

  #beat(): void {
    if (this.#ended.signal.aborted) return;
    const now = this.#options.world.elapsed();
    if (this.#handle !== undefined && this.#asking !== this.#handle) this.#ask(this.#handle);
    if (this.#stuck(now)) void this.#renew();
    this.#pulse = this.#options.world.timer(this.#timeoutMs / 6, () => this.#beat());
  }

  /** A handle that connected has a third of the timeout for an answer; another tries the next server sooner. */
  #stuck(now: number): boolean {
    if (this.#renewing) return false;
    const { bornAt } = this.#handle ?? { bornAt: Number.NEGATIVE_INFINITY };
    const silentMs = now - Math.max(this.#provenAt, bornAt);
    if (this.#identity === undefined) return silentMs > this.#timeoutMs / 2;
    if (this.#connected) return silentMs > this.#timeoutMs / 3;
    return now - this.#provenAt > this.#timeoutMs / 3 && now - bornAt > this.#timeoutMs / 6;
  }

  #ask(handle: Handle): void {
    const sentAt = this.#options.world.elapsed();
    this.#asking = handle;
    handle.sync("/").then(
      () => this.#proven(handle, sentAt),
      (error) => {
        this.#trouble = error;
        if (this.#asking === handle) this.#asking = undefined;
        if (isCode(error, codes.sessionExpired)) this.#expire();
      },
    );
  }

  #proven(handle: Handle, sentAt: number): void {
    if (this.#asking === handle) this.#asking = undefined;
    if (handle !== this.#handle || this.#ended.signal.aborted) return;
    const { world, meter } = this.#options;
    const now = world.elapsed();
    // An answer that comes when the lease is over does not bring it back.
    if (Number.isFinite(this.#provenAt) && now >= this.validUntil) return this.#runOut();
    this.#provenAt = Math.max(this.#provenAt, sentAt);
    meter.heartbeat((now - sentAt) / 1_000);
    this.#deadline?.[Symbol.dispose]();
    this.#deadline = world.timer(Math.max(0, this.validUntil - now), () => this.#runOut());
    if (this.#synced) return;
    this.#synced = true;
    this.#usable.open();
    this.onChange(undefined);
  }

  #runOut(): void {
    const { world, servers } = this.#options;
    const ms = Math.round(world.elapsed() - this.#provenAt);
    const of = `the lease is ${Math.round((this.#timeoutMs * 2) / 3)} ms, two thirds of the session`;
    if (!this.#ended.signal.aborted) this.#options.meter.state("lost");
    this.#end(fault("coordinator.lost", `${servers} confirmed the session ${ms} ms ago; ${of}`, this.#trouble));
  }

  #end(reason: Fault): void {
    if (this.#ended.signal.aborted) return;
    this.#deadline?.[Symbol.dispose]();
    this.#ended.abort(reason);
  }

  #expire(): Fault {
    const reason = fault("coordinator.lost", `the session at ${this.#options.servers} has expired`);
    if (!this.#ended.signal.aborted) this.#options.meter.state("expired");
    this.#end(reason);
    return reason;
  }

  #unreachable(cause: unknown): Fault {
    const last = this.#trouble instanceof Error ? `; last: ${this.#trouble.message}` : "";
    const text = `no ZooKeeper server answered at ${this.#options.servers} in ${this.#attempts} attempts, given up${last}`;
    return fault("coordinator.unreachable", text, cause);
  }
}

const authFailedState = -113;

/** Those who wait at the old gate wait on for the new one. */
function reopened(old: Gate): Gate {
  const next = gate();
  void next.opened.then(old.open);
  return next;
}

/** Begins with another server at each attempt. */
function rotated(addresses: string, by: number): string {
  const all = addresses.split(",");
  return [...all.slice(by % all.length), ...all.slice(0, by % all.length)].join(",");
}
