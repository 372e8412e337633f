import {
  type Collection,
  Fault,
  type Log,
  type RpcCall,
  type RpcDocument,
  type RpcOutcome,
  type RpcStatus,
  type World,
} from "@heddle/plugin-sdk";

/** How long a device may take to confirm that it got a request (device-api 2.7). */
const confirmMs = 10_000;
const mostRetries = 5;
/** Calls waiting for one device; more are refused. */
const mostPending = 1_000;

export interface RpcTarget {
  readonly session: string;
  readonly node: string;
}

export interface PendingRpcOptions {
  readonly world: World;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly rpcs: Collection<RpcDocument>;
  targets(): readonly RpcTarget[];
  /** Resolves when the device has confirmed. */
  deliver(to: RpcTarget, request: { requestId: number; call: RpcCall }, signal: AbortSignal): Promise<void>;
  /** A persistent call changed its status. */
  changed(document: RpcDocument): void;
}

interface Pending {
  readonly requestId: number;
  readonly call: RpcCall;
  readonly answer: ((outcome: RpcOutcome) => void) | undefined;
  readonly expiry: Disposable;
  sent: boolean;
  retries: number;
}

/** The calls that one device has not answered yet, in the order in which they came (runtime 2.3, strategy BURST). */
export class PendingRpc {
  readonly #options: PendingRpcOptions;
  readonly #pending = new Map<number, Pending>();
  #next = 0;

  constructor(options: PendingRpcOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Resolves at once for a persistent call, when handed over for a one-way call, else with answer or expiry. */
  async call(call: RpcCall): Promise<RpcOutcome> {
    const { world } = this.#options;
    if (call.persistent) await this.#store(call, world.now() >= call.expiresAt ? "EXPIRED" : "QUEUED");
    if (world.now() >= call.expiresAt) return call.persistent ? {} : { error: "TIMEOUT" };
    if (this.#pending.size >= mostPending) {
      throw new Fault(
        "exhausted",
        "rpc.pending",
        `${mostPending} calls already wait for this device, no more are taken`,
      );
    }
    if (call.persistent) {
      this.#send(this.#add(call, undefined), true);
      return {};
    }
    return new Promise((answer) => this.#send(this.#add(call, answer), true));
  }

  /** Calls stored by a former owner of the device. */
  restore(documents: readonly RpcDocument[]): void {
    for (const document of documents) {
      const request = JSON.parse(document.request) as RpcCall;
      if (![...this.#pending.values()].some(({ call }) => call.id === document.id)) this.#add(request, undefined);
    }
  }

  /** A session asked for calls: all that wait are sent to it again, oldest first (device-api 2.7, rule 3). */
  resend(): void {
    for (const pending of this.#pending.values()) this.#send(pending, false);
  }

  /** First answer wins; unknown ids are answers that came too late. */
  async reply(requestId: number, payload: string): Promise<void> {
    const pending = this.#take(requestId);
    if (pending === undefined) return;
    pending.answer?.({ response: payload });
    if (!pending.call.persistent) return;
    const response = asJson(payload);
    await this.#update(pending.call.id, isErrorAnswer(response) ? "FAILED" : "SUCCESSFUL", response);
  }

  async cancel(id: string): Promise<void> {
    for (const { requestId, call } of this.#pending.values()) {
      if (call.id !== id) continue;
      this.#take(requestId);
      const [stored] = await this.#options.rpcs.get([id], this.#options);
      if (stored !== undefined) this.#options.changed({ ...stored.value, status: "DELETED" });
    }
  }

  /** Nobody will answer any more. */
  end(): void {
    for (const { expiry, answer } of this.#pending.values()) {
      expiry[Symbol.dispose]();
      answer?.({ error: "NO_ACTIVE_CONNECTION" });
    }
    this.#pending.clear();
  }

  #add(call: RpcCall, answer: Pending["answer"]): Pending {
    const requestId = this.#next++;
    const expiry = this.#options.world.timer(call.expiresAt - this.#options.world.now(), () => this.#expire(requestId));
    const pending: Pending = { requestId, call, answer, expiry, sent: false, retries: 0 };
    this.#pending.set(requestId, pending);
    return pending;
  }

  #take(requestId: number): Pending | undefined {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return undefined;
    this.#pending.delete(requestId);
    pending.expiry[Symbol.dispose]();
    return pending;
  }

  #expire(requestId: number): void {
    const pending = this.#take(requestId);
    if (pending === undefined) return;
    pending.answer?.({ error: pending.sent ? "TIMEOUT" : "NO_ACTIVE_CONNECTION" });
    if (pending.call.persistent) this.#note(pending, "EXPIRED");
  }

  /** `first`: a request that is delivered on its way counts as sent; a repeat does not (device-api 2.7, rule 3). */
  #send(pending: Pending, first: boolean): void {
    const targets = this.#options.targets();
    if (targets.length === 0) return;
    if (first) pending.sent = true;
    const { call, requestId } = pending;
    if (call.oneway && !call.persistent) {
      this.#take(requestId);
      pending.answer?.({});
    }
    if (call.persistent) this.#note(pending, "SENT");
    for (const target of targets) void this.#deliver(target, pending);
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
      if (!call.persistent || !this.#pending.has(requestId)) return;
      if (call.oneway) this.#take(requestId);
      this.#note(pending, "DELIVERED");
    } catch (error) {
      log.debug("rpc not confirmed", { session: target.session, error });
      if (call.persistent && limit.signal.aborted && this.#pending.has(requestId)) this.#unconfirmed(pending);
    } finally {
      timer[Symbol.dispose]();
    }
  }

  #unconfirmed(pending: Pending): void {
    const retries = Math.min(pending.call.retries ?? mostRetries, mostRetries);
    if (pending.retries++ < retries) return this.#note(pending, "TIMEOUT");
    this.#take(pending.requestId);
    const error = `There was a Timeout and all retry attempts have been exhausted. Retry attempts set: ${retries}`;
    this.#note(pending, "FAILED", JSON.stringify({ error }));
  }

  #note(pending: Pending, status: RpcStatus, response?: string): void {
    this.#update(pending.call.id, status, response).catch((error) => {
      this.#options.log.warn("status of a persistent rpc not stored", { rpc: pending.call.id, status, error });
    });
  }

  async #store(call: RpcCall, status: RpcStatus): Promise<void> {
    const { world, rpcs, signal, changed } = this.#options;
    const { additionalInfo, ...rest } = call;
    const document: RpcDocument = {
      id: call.id,
      tenantId: call.tenantId,
      deviceId: call.deviceId,
      createdTime: world.now(),
      expirationTime: call.expiresAt,
      status,
      request: JSON.stringify(rest),
      response: null,
      additionalInfo: additionalInfo ?? null,
    };
    await rpcs.put([{ value: document, expect: "absent" }], { signal });
    changed(document);
  }

  /** Statuses of one call are written in order: each waits for the one before. */
  async #update(id: string, status: RpcStatus, response?: string): Promise<void> {
    const { rpcs, signal, changed } = this.#options;
    const write = (this.#writes.get(id) ?? Promise.resolve()).then(async () => {
      const [stored] = await rpcs.get([id], { signal });
      if (stored === undefined) return;
      const value = { ...stored.value, status, response: response ?? stored.value.response };
      await rpcs.put([{ value, expect: "any" }], { signal });
      changed(value);
    });
    const settled = write.then(
      () => this.#writes.delete(id),
      () => this.#writes.delete(id),
    );
    this.#writes.set(id, settled);
    await write;
  }

  readonly #writes = new Map<string, Promise<unknown>>();
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
