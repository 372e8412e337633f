import { type ActorKind, asFault, Fault, type PassivateReason, type Turn, type World } from "@heddle/plugin-sdk";
import { sharedAbort } from "../shared-abort.ts";
import { type Envelope, Mailbox } from "./mailbox.ts";

/** Turns a cell takes from its mailbox before it lets the event loop breathe. */
const turnsPerRun = 32;
/** Plain calls from turn into turn; deeper ones go through the mailbox, or a chain could exhaust the stack. */
const deepestCall = 48;
const failuresBeforeParking = 5;
const failureWindowMs = 60_000;
const parkMs = 60_000;
const firstRetryMs = 100;
const longestRetryMs = 30_000;
/** How long running turns may take to end once their activation must go. */
export const drainMs = 5_000;

let depth = 0;

/** What a cell needs to know of the system around it. */
export interface CellHost {
  readonly world: World;
  /** Monotonic ms as of the last sweep: telling who is idle needs no better clock, and reading one costs. */
  readonly coarseElapsed: number;
  /** Checked before every turn: a fenced node runs nothing. */
  mayRun(): boolean;
  epoch(): number;
  /** Resolves when the key may live here: its partition is served. Undefined when it may at once. */
  admitted(kind: ActorKind, key: string, signal: AbortSignal): Promise<void> | undefined;
  /** Resolves when the parent is active; undefined for actors under the node itself. */
  parentOf(kind: ActorKind, key: string): Promise<Cell> | undefined;
  onActivated(cell: Cell): void;
  onFailure(cell: Cell, error: unknown, phase: "activate" | "turn" | "passivate"): void;
  onPassivated(cell: Cell, why: PassivateReason): void;
  onDeadLetter(cell: Cell, envelope: Envelope): void;
  /** An activation nobody awaits failed; `onFailure` has had the error already unless the cell was being stopped. */
  onUnasked(cell: Cell, error: unknown): void;
  /** The cell has ended for good and can be forgotten. */
  onGone(cell: Cell): void;
}

type State = "sleeping" | "activating" | "active" | "passivating" | "parked" | "gone";
type Handlers = Record<string, (arg: unknown, turn: Turn) => unknown> & {
  passivate?(why: PassivateReason): Promise<void> | void;
  stays?(): boolean;
};

/** The life of one key of one kind on this node: activation, turns, failure, passivation. */
export class Cell {
  readonly kind: ActorKind;
  readonly key: string;
  readonly children = new Set<Cell>();
  readonly #host: CellHost;
  readonly #mailbox: Mailbox;
  readonly #urgent: ReadonlySet<string> | undefined;
  readonly #concurrency: number;
  #parent: Cell | undefined;
  #state: State = "sleeping";
  #handlers: Handlers | undefined;
  #abort = sharedAbort();
  #running = 0;
  #scheduled = false;
  #parkedBy: Fault | undefined;
  #failures: number[] = [];
  #idleWaiters: (() => void)[] = [];
  #activation: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  /** Made once: a turn costs no closure. */
  readonly #afterTurn = (): void => this.#turnDone();
  /** Coarse monotonic ms of the last message. */
  lastUsed: number;

  constructor(host: CellHost, kind: ActorKind, key: string) {
    this.#host = host;
    this.kind = kind;
    this.key = key;
    this.#mailbox = new Mailbox(kind.mailbox ?? 256);
    this.#urgent = kind.urgent === undefined ? undefined : new Set(kind.urgent);
    this.#concurrency = kind.concurrency ?? 1;
    this.lastUsed = host.coarseElapsed;
  }

  get state(): State {
    return this.#state;
  }

  get backlog(): number {
    return this.#mailbox.size + this.#mailbox.waiting;
  }

  get idle(): boolean {
    return this.#running === 0 && this.backlog === 0 && this.children.size === 0 && this.#handlers?.stays?.() !== true;
  }

  /** Runs the verb now when the actor is here and free; undefined when it has to wait. */
  tryNow(verb: string, arg: unknown, turn: Turn | undefined): { value: unknown } | undefined {
    if (this.#state !== "active" || this.#running >= this.#concurrency || this.backlog > 0) return undefined;
    if (depth >= deepestCall || !this.#host.mayRun()) return undefined;
    return { value: this.#call(verb, arg, turn ?? { signal: this.#abort.signal, trace: "" }) };
  }

  /** Takes a message; false when the mailbox refused a tell. */
  post(envelope: Envelope): boolean {
    if (this.#state === "gone") return false;
    if (!this.#mailbox.push(envelope, this.#urgent?.has(envelope.verb) ?? false)) return false;
    if (this.#state === "active") this.#schedule();
    else if (this.#state === "sleeping") this.#activateUnasked();
    return true;
  }

  /** Resolves when active. The first failure rejects; retries go on behind it while mail waits. */
  activate(): Promise<void> {
    if (this.#state === "active") return Promise.resolve();
    if (this.#state === "gone") return Promise.reject(this.#unavailable("has ended"));
    // The reason itself: one that lasts must not look like one that passes.
    if (this.#state === "parked") return Promise.reject(this.#parkedBy);
    if (this.#state === "passivating") return (this.#ending ?? Promise.resolve()).then(() => this.activate());
    this.#activation ??= this.#start().finally(() => {
      this.#activation = undefined;
    });
    return this.#activation;
  }

  /** For mail that waits: a failed activation has been reported and is tried again, nobody here awaits it. */
  #activateUnasked(): void {
    this.activate().then(undefined, (error) => this.#host.onUnasked(this, error));
  }

  async #start(): Promise<void> {
    this.#state = "activating";
    this.#abort = sharedAbort();
    try {
      await this.#host.admitted(this.kind, this.key, this.#abort.signal);
      const parent = this.#host.parentOf(this.kind, this.key);
      if (parent !== undefined) {
        this.#parent = await parent;
        this.#parent.children.add(this);
      }
      const self = { key: this.key, epoch: this.#host.epoch(), signal: this.#abort.signal };
      const made = this.kind.activate(self);
      this.#handlers = (made instanceof Promise ? await made : made) as Handlers;
    } catch (error) {
      this.#activationFailed(error);
      throw error;
    }
    if (this.#abort.signal.aborted) throw this.#unavailable("was stopped while it started");
    this.#state = "active";
    this.lastUsed = this.#host.coarseElapsed;
    this.#host.onActivated(this);
    if (this.#mailbox.size > 0) this.#schedule();
  }

  #activationFailed(error: unknown): void {
    this.#leaveParent();
    if (this.#abort.signal.aborted) return;
    const now = this.#host.world.elapsed();
    this.#failures = this.#failures.filter((at) => now - at < failureWindowMs);
    this.#failures.push(now);
    this.#host.onFailure(this, error, "activate");
    if (this.#failures.length >= failuresBeforeParking) {
      this.#state = "parked";
      this.#parkedBy = asFault(error);
      this.#refuseMail(asFault(error));
      this.#host.world.timer(parkMs, () => this.#wake());
      return;
    }
    this.#state = "sleeping";
    const wait = Math.min(firstRetryMs * 2 ** (this.#failures.length - 1), longestRetryMs);
    this.#host.world.timer(wait, () => this.#wake());
  }

  /** After a failure: go on when somebody waits, else be forgotten. */
  #wake(): void {
    if (this.#state === "parked") this.#state = "sleeping";
    if (this.#state !== "sleeping") return;
    if (this.backlog > 0) this.#activateUnasked();
    else this.#end();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#run());
  }

  #run(): void {
    this.#scheduled = false;
    for (let turns = 0; this.#state === "active" && this.#running < this.#concurrency; turns++) {
      if (turns === turnsPerRun) {
        this.#scheduled = true;
        this.#host.world.timer(0, () => this.#run());
        return;
      }
      const envelope = this.#mailbox.shift();
      if (envelope === undefined) return;
      this.#take(envelope);
    }
  }

  #take(envelope: Envelope): void {
    if (envelope.signal?.aborted === true) {
      envelope.reject?.(envelope.signal.reason);
      return;
    }
    if (!this.#host.mayRun()) {
      envelope.reject?.(this.#unavailable("is on a node that lost its lease"));
      return;
    }
    let value: unknown;
    try {
      value = this.#call(envelope.verb, envelope.arg, {
        signal: envelope.signal ?? this.#abort.signal,
        trace: envelope.trace,
      });
    } catch (error) {
      if (envelope.reject === undefined) this.#host.onFailure(this, error, "turn");
      else envelope.reject(error);
      return;
    }
    if (value instanceof Promise) {
      value.then(envelope.resolve, envelope.reject ?? ((error) => this.#host.onFailure(this, error, "turn")));
    } else envelope.resolve?.(value);
  }

  /** One turn. A handler that returns no promise costs none. */
  #call(verb: string, arg: unknown, turn: Turn): unknown {
    const handler = this.#handlers?.[verb];
    if (handler === undefined) throw new Fault("invalid", "actor.verb", `actor ${this.kind.kind} has no verb ${verb}`);
    this.#running++;
    depth++;
    let value: unknown;
    try {
      value = handler(arg, turn);
    } catch (error) {
      this.#turnDone();
      throw error;
    } finally {
      depth--;
    }
    if (value instanceof Promise) value.then(this.#afterTurn, this.#afterTurn);
    else this.#turnDone();
    return value;
  }

  #turnDone(): void {
    this.#running--;
    this.lastUsed = this.#host.coarseElapsed;
    if (this.#running === 0 && this.#idleWaiters.length > 0) for (const go of this.#idleWaiters.splice(0)) go();
    if (this.#state === "active" && this.#mailbox.size > 0) this.#schedule();
  }

  /**
   * Stops taking, lets the turns finish (bounded, then their signals abort), passivates, drops. Mail that arrived
   * meanwhile wakes a new activation when the reason was idleness, and is refused otherwise.
   */
  passivate(why: PassivateReason): Promise<void> {
    if (this.#ending !== undefined) return this.#ending;
    if (this.#state === "gone") return Promise.resolve();
    this.#ending = this.#finish(why).finally(() => {
      this.#ending = undefined;
    });
    return this.#ending;
  }

  async #finish(why: PassivateReason): Promise<void> {
    const wasActive = this.#state === "active";
    if (this.#activation !== undefined) this.#abort.abort(this.#unavailable("is being stopped"));
    this.#state = "passivating";
    await Promise.all([...this.children].map((child) => child.passivate(why)));
    if (this.#running > 0) await this.#drain();
    if (wasActive) {
      try {
        await this.#handlers?.passivate?.(why);
      } catch (error) {
        this.#host.onFailure(this, error, "passivate");
      }
      this.#host.onPassivated(this, why);
    }
    this.#abort.abort(this.#unavailable(`has ended: ${why}`));
    this.#handlers = undefined;
    this.#leaveParent();
    this.#state = "sleeping";
    if (why === "idle" && this.backlog > 0) this.#activateUnasked();
    else this.#end();
  }

  async #drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      const bound = this.#host.world.timer(drainMs, () => {
        this.#abort.abort(this.#unavailable("took too long to stop"));
        resolve();
      });
      this.#idleWaiters.push(() => {
        bound[Symbol.dispose]();
        resolve();
      });
    });
  }

  /** Drops the activation at once, without passivating: the node may no longer act. */
  fence(): void {
    this.#abort.abort(this.#unavailable("is on a node that lost its lease"));
    this.#handlers = undefined;
    this.#leaveParent();
    this.#end();
  }

  #end(): void {
    this.#state = "gone";
    this.#host.onGone(this);
    this.#refuseMail(new Fault("unavailable", "actor.moved", `actor ${this.kind.kind} ${this.key} has moved or ended`));
  }

  #refuseMail(fault: Fault): void {
    for (let mail = this.#mailbox.shift(); mail !== undefined; mail = this.#mailbox.shift()) {
      if (mail.reject === undefined) this.#host.onDeadLetter(this, mail);
      else mail.reject(fault);
    }
  }

  #leaveParent(): void {
    this.#parent?.children.delete(this);
    this.#parent = undefined;
  }

  #unavailable(why: string): Fault {
    return new Fault("unavailable", "actor.unavailable", `actor ${this.kind.kind} ${this.key} ${why}`);
  }
}
