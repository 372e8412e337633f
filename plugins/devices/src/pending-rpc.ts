import {
  asFault,
  Fault,
  type Log,
  type RpcCall,
  type RpcOutcome,
  type RpcStatus,
  type World,
} from "@heddle/plugin-sdk";
import { type RestoredCall, RpcRecords, type RpcRecordsOptions } from "./rpc-records.ts";

/** How long a device may take to confirm that it got a request (device-api 2.7). */
const confirmMs = 10_000;
const mostRetries = 5;
/** Calls waiting for one device; more are refused. */
export const mostPending = 1_000;

/** When the next of several calls goes out: at once, or when the device has confirmed or answered the one before. */
export type RpcStrategy = "BURST" | "SEQUENTIAL_ON_ACK_FROM_DEVICE" | "SEQUENTIAL_ON_RESPONSE_FROM_DEVICE";

export interface RpcConfig {
  readonly strategy: RpcStrategy;
  /** For the answer to a delivered call, where the next one waits for it; ms. */
  readonly responseTimeout: number;
  /** A device that does not confirm is disconnected, and the call waits for it to come back. */
  readonly closeOnTimeout: boolean;
}

export interface RpcTarget {
  readonly session: string;
  readonly node: string;
}

export interface PendingRpcOptions extends RpcRecordsOptions {
  readonly world: World;
  readonly log: Log;
  readonly config: RpcConfig;
  targets(): readonly RpcTarget[];
  /** Resolves when the device has confirmed. */
  deliver(to: RpcTarget, request: { requestId: number; call: RpcCall }, signal: AbortSignal): Promise<void>;
  /** Ends a session whose device confirms nothing. */
  close(target: RpcTarget): void;
}

interface Pending {
  readonly requestId: number;
  readonly call: RpcCall;
  readonly answer: ((outcome: RpcOutcome) => void) | undefined;
  readonly expiry: Disposable;
  /** Went out on its way, not only when somebody subscribed: without an answer it then ends as a time-out. */
  sent: boolean;
  /** Went out since somebody subscribed last. */
  out: boolean;
  confirmed: boolean;
  retries: number;
  /** Its answer is being written down. */
  answering: boolean;
  responseTimer: Disposable | undefined;
}

/** The calls that one device has not answered yet, in the order in which they came (device-api 2.7, docs/design). */
export class PendingRpc {
  readonly #options: PendingRpcOptions;
  readonly #records: RpcRecords;
  readonly #pending = new Map<number, Pending>();
  /** The one that the others wait for, where they go out one after the other. */
  #current: Pending | undefined;
  #next = 0;

  constructor(options: PendingRpcOptions) {
    this.#options = options;
    this.#records = new RpcRecords(options);
  }

  get size(): number {
    return this.#pending.size;
  }

  async load(deviceId: string): Promise<void> {
    this.#restore(await this.#records.open(deviceId, mostPending));
  }

  /** Resolves at once for a persistent call, when handed over for a one-way call, else with answer or expiry. */
  async call(call: RpcCall): Promise<RpcOutcome> {
    const { world } = this.#options;
    const expired = world.now() >= call.expiresAt;
    if (!expired && this.#pending.size >= mostPending) {
      const most = `${mostPending} calls already wait for this device, no more are taken`;
      throw new Fault("exhausted", "rpc.pending", most);
    }
    if (call.persistent) await this.#records.create(call, expired ? "EXPIRED" : "QUEUED");
    if (expired) return call.persistent ? {} : { error: "TIMEOUT" };
    if (call.persistent) {
      this.#add(call, undefined);
      this.#pump();
      return {};
    }
    return new Promise((answer) => {
      this.#add(call, answer);
      this.#pump();
    });
  }

  /** A session asked for calls: all that wait are sent to it again, oldest first (device-api 2.7, rule 3). */
  resend(): void {
    for (const pending of this.#pending.values()) {
      pending.out = pending.confirmed = false;
      pending.responseTimer?.[Symbol.dispose]();
    }
    this.#current = undefined;
    this.#pump("again");
  }

  /** First answer wins; unknown ids are answers that came too late. Resolves when the answer cannot be lost any more. */
  async reply(requestId: number, payload: string): Promise<void> {
    const pending = this.#pending.get(requestId);
    if (pending === undefined || pending.answering) return;
    if (pending.call.persistent) {
      const response = asJson(payload);
      pending.answering = true;
      try {
        await this.#records.update(pending.call.id, {
          status: isErrorAnswer(response) ? "FAILED" : "SUCCESSFUL",
          response,
        });
      } catch (error) {
        pending.answering = false;
        throw error;
      }
    }
    this.#take(requestId);
    pending.answer?.({ response: payload });
    this.#free(pending);
  }

  async cancel(id: string): Promise<void> {
    const pending = [...this.#pending.values()].find(({ call }) => call.id === id);
    if (pending === undefined) return;
    this.#take(pending.requestId);
    this.#free(pending);
    await this.#records.deleted(id);
  }

  /** Nobody will answer any more. */
  end(): void {
    for (const { requestId, answer } of [...this.#pending.values()]) {
      this.#take(requestId);
      answer?.({ error: "NO_ACTIVE_CONNECTION" });
    }
  }

  /** Ids that the device was told stay as they are. */
  #restore(calls: readonly RestoredCall[]): void {
    const known = new Set([...this.#pending.values()].map(({ call }) => call.id));
    const missing = calls.filter(({ call }) => !known.has(call.id));
    for (const { call, requestId } of missing) if (requestId !== undefined) this.#add(call, undefined, requestId);
    for (const { call, requestId } of missing) if (requestId === undefined) this.#add(call, undefined);
  }

  #add(call: RpcCall, answer: Pending["answer"], told?: number): Pending {
    while (told === undefined && this.#pending.has(this.#next)) this.#next++;
    const requestId = told ?? this.#next++;
    const expiry = this.#options.world.timer(call.expiresAt - this.#options.world.now(), () => this.#expire(requestId));
    const pending: Pending = {
      ...{ requestId, call, answer, expiry },
      ...{ sent: false, out: false, confirmed: false, retries: 0, answering: false, responseTimer: undefined },
    };
    this.#pending.set(requestId, pending);
    return pending;
  }

  #take(requestId: number): Pending | undefined {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return undefined;
    this.#pending.delete(requestId);
    pending.expiry[Symbol.dispose]();
    pending.responseTimer?.[Symbol.dispose]();
    return pending;
  }

  #expire(requestId: number): void {
    const pending = this.#take(requestId);
    if (pending === undefined) return;
    pending.answer?.({ error: pending.sent ? "TIMEOUT" : "NO_ACTIVE_CONNECTION" });
    if (pending.call.persistent && !pending.answering) this.#note(pending, "EXPIRED");
    this.#free(pending);
  }

  /** Sends what may go: everything that has not gone out, or the oldest of it where the others wait for that one. */
  #pump(how: "first" | "again" = "first"): void {
    const oneByOne = this.#options.config.strategy !== "BURST";
    for (const pending of [...this.#pending.values()]) {
      if (oneByOne && this.#current !== undefined) return;
      // Its answer is here, and its status must not fall back behind that.
      if (pending.out || pending.answering) continue;
      if (!this.#send(pending, how)) return;
    }
  }

  /** False when nobody takes calls. */
  #send(pending: Pending, how: "first" | "again"): boolean {
    const targets = this.#options.targets();
    if (targets.length === 0) return false;
    const { call, requestId } = pending;
    pending.out = true;
    if (how === "first") pending.sent = true;
    this.#current = pending;
    if (call.oneway && !call.persistent) {
      this.#take(requestId);
      pending.answer?.({});
    }
    if (call.persistent) this.#note(pending, "SENT");
    for (const target of targets) void this.#deliver(target, pending);
    return true;
  }

  async #deliver(target: RpcTarget, pending: Pending): Promise<void> {
    const { world, log, deliver } = this.#options;
    const { call, requestId } = pending;
    const limit = new AbortController();
    const wait = Math.max(1, Math.min(confirmMs, call.expiresAt - world.now()));
    const timer = world.timer(wait, () =>
      limit.abort(new Fault("unavailable", "rpc.unconfirmed", `not confirmed within ${wait} ms`)),
    );
    try {
      await deliver(target, { requestId, call }, limit.signal);
      this.#confirmed(pending);
    } catch (error) {
      log.debug("rpc not confirmed", { session: target.session, error });
      // The transport's own patience may end a moment before this one's.
      if (limit.signal.aborted || asFault(error).code.endsWith(".unconfirmed")) this.#unconfirmed(pending, target);
      else this.#free(pending);
    } finally {
      timer[Symbol.dispose]();
    }
  }

  #confirmed(pending: Pending): void {
    const { call, requestId } = pending;
    if (call.oneway && !call.persistent) return this.#free(pending);
    if (this.#pending.get(requestId) !== pending || pending.confirmed || pending.answering) return;
    pending.confirmed = true;
    if (call.oneway) this.#take(requestId);
    if (call.persistent) this.#note(pending, "DELIVERED");
    const { strategy, responseTimeout } = this.#options.config;
    if (call.oneway || strategy !== "SEQUENTIAL_ON_RESPONSE_FROM_DEVICE") return this.#free(pending);
    pending.responseTimer = this.#options.world.timer(responseTimeout, () => this.#unanswered(pending));
  }

  #unanswered(pending: Pending): void {
    if (pending.answering || this.#take(pending.requestId) === undefined) return;
    pending.answer?.({ error: "TIMEOUT" });
    const error = "There was a timeout awaiting for RPC response from device.";
    if (pending.call.persistent) this.#note(pending, "FAILED", JSON.stringify({ error }));
    this.#free(pending);
  }

  #unconfirmed(pending: Pending, target: RpcTarget): void {
    const { call, requestId } = pending;
    if (!call.persistent || this.#pending.get(requestId) !== pending || pending.confirmed || pending.answering) {
      return this.#free(pending);
    }
    const retries = Math.min(call.retries ?? mostRetries, mostRetries);
    if (pending.retries++ < retries) this.#note(pending, "TIMEOUT");
    else if (this.#options.config.closeOnTimeout) {
      pending.retries = 0;
      pending.out = false;
      this.#note(pending, "QUEUED");
      this.#options.close(target);
    } else {
      this.#take(requestId);
      const error = `There was a Timeout and all retry attempts have been exhausted. Retry attempts set: ${retries}`;
      this.#note(pending, "FAILED", JSON.stringify({ error }));
    }
    // It goes out again with the next subscription; the others need not wait for that.
    this.#free(pending);
  }

  /** The next may go. */
  #free(pending: Pending): void {
    if (this.#current === pending) this.#current = undefined;
    this.#pump();
  }

  #note(pending: Pending, status: RpcStatus, response?: string): void {
    const { call, requestId } = pending;
    const to = { status, requestId, ...(response === undefined ? {} : { response }) };
    this.#records.update(call.id, to).catch((error) => {
      this.#options.log.warn("status of a persistent rpc not stored", { rpc: call.id, status, error });
    });
  }
}

/** The answer as JSON text: what is not JSON becomes the text of an error. */
function asJson(payload: string): string {
  try {
    return JSON.stringify(JSON.parse(payload));
  } catch {
    return JSON.stringify({ error: payload });
  }
}

function isErrorAnswer(json: string): boolean {
  const value = JSON.parse(json) as unknown;
  return typeof value === "object" && value !== null && "error" in value;
}
