import {
  asFault,
  type CallOptions,
  Fault,
  type Log,
  type Member,
  type PeerLink,
  type Plain,
  type World,
} from "@heddle/plugin-sdk";
import type { ActorSystem, Address, RemoteActors } from "../actor/actors.ts";
import type { Ownership } from "../cluster/ownership.ts";
import { type AnswerFrame, type CallFrame, decodeFrame, encodeFrame, type Frame } from "./frame.ts";

/** How long a frame that knows a newer view waits for that view to arrive here. */
const viewWaitMs = 5_000;

interface Pending {
  readonly node: string;
  /** Of the member that was asked: its successor under the same name knows nothing of the ask. */
  readonly incarnation: string | undefined;
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

export interface RouterOptions {
  readonly world: World;
  readonly log: Log;
  readonly ownership: Ownership;
  readonly peer: PeerLink | undefined;
  /** This node's incarnation, once it has joined. */
  incarnation(): string;
}

/** Messages between actors of different nodes: ordered per pair of nodes, at most once, every ask answered once. */
export class Router implements RemoteActors {
  readonly #world: World;
  readonly #log: Log;
  readonly #ownership: Ownership;
  readonly #peer: PeerLink | undefined;
  readonly #incarnation: () => string;
  readonly #pending = new Map<number, Pending>();
  /** Asks of others that run here, so that a cancel reaches them: `<node>/<ask>`. */
  readonly #served = new Map<string, AbortController>();
  #actors: ActorSystem | undefined;
  #lastAsk = 0;
  readonly counters = { sent: 0, received: 0, moved: 0, failed: 0 };

  constructor({ world, log, ownership, peer, incarnation }: RouterOptions) {
    this.#world = world;
    this.#log = log;
    this.#ownership = ownership;
    this.#peer = peer;
    this.#incarnation = incarnation;
    ownership.onChange(({ members }) => this.#dropGone(members));
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** Listens for peers; returns the address to publish, empty without a peer link. */
  async listen(actors: ActorSystem): Promise<string> {
    this.#actors = actors;
    const identity = {
      id: this.#ownership.self,
      // Before the first view nobody is known: who connects then is looked at again once there is one.
      admit: (from: string) => this.#ownership.members.length === 0 || this.#member(from) !== undefined,
    };
    return (await this.#peer?.listen((from, bytes) => this.#receive(from, bytes), identity)) ?? "";
  }

  tell(node: string, to: Address, arg: unknown): void {
    this.#send(node, this.#call(to, arg, undefined)).catch((error) => {
      this.counters.failed++;
      this.#log.debug("tell not sent", { node, kind: to.kind, error });
    });
  }

  ask(node: string, to: Address, arg: unknown, call: CallOptions): Promise<unknown> {
    const ask = ++this.#lastAsk;
    return new Promise((resolve, reject) => {
      if (call.signal.aborted) return reject(call.signal.reason);
      const cancel = () => {
        this.#pending.delete(ask);
        reject(call.signal.reason);
        this.#post(node, { type: "cancel", ask, ...this.#sender() });
      };
      const settle =
        <V>(done: (value: V) => void) =>
        (value: V) => {
          call.signal.removeEventListener("abort", cancel);
          done(value);
        };
      call.signal.addEventListener("abort", cancel, { once: true });
      const pending = {
        node,
        incarnation: this.#member(node)?.incarnation,
        resolve: settle(resolve),
        reject: settle(reject),
      };
      this.#pending.set(ask, pending);
      this.#send(node, this.#call(to, arg, ask), call.signal).catch((error) => {
        if (this.#pending.delete(ask)) pending.reject(unreached(node, error));
      });
    });
  }

  #call(to: Address, arg: unknown, ask: number | undefined): CallFrame {
    const common = { ...this.#sender(), epoch: this.#ownership.epoch, trace: "", arg: arg as Plain };
    return { type: "call", ...to, ...common, ...(ask === undefined ? {} : { ask }) };
  }

  #sender(): { from: string; incarnation: string } {
    return { from: this.#ownership.self, incarnation: this.#incarnation() };
  }

  async #send(node: string, frame: Frame, signal: AbortSignal = neverAborts): Promise<void> {
    const member = this.#member(node);
    if (member === undefined || this.#peer === undefined) {
      throw new Fault("unavailable", "actor.unavailable", `node ${node} is not a member of the cluster`);
    }
    this.counters.sent++;
    await this.#peer.send(member.address, encodeFrame(frame), { signal });
  }

  #member(node: string): Member | undefined {
    return this.#ownership.members.find(({ id }) => id === node);
  }

  #post(node: string, frame: Frame): void {
    this.#send(node, frame).catch((error) => {
      this.counters.failed++;
      this.#log.debug("frame not sent", { node, type: frame.type, error });
    });
  }

  #receive(from: string, bytes: Uint8Array): Promise<void> | void {
    let frame: Frame;
    try {
      frame = decodeFrame(bytes);
      if (frame.from !== from) throw new Fault("denied", "remote.frame", `a frame of ${frame.from} came from ${from}`);
    } catch (error) {
      this.#log.warn("frame refused", { error });
      return;
    }
    this.counters.received++;
    switch (frame.type) {
      case "call":
        return this.#serve(frame);
      case "answer":
        return this.#answered(frame);
      case "cancel":
        return this.#served
          .get(`${frame.from}/${frame.ask}`)
          ?.abort(new Fault("unavailable", "actor.cancelled", "the asker no longer waits"));
    }
  }

  /** Waits only for a newer view; the turn itself runs beside the connection, so that one slow actor holds up no peer. */
  async #serve(frame: CallFrame): Promise<void> {
    if (frame.epoch > this.#ownership.epoch) {
      const bound = this.#deadline(viewWaitMs);
      try {
        await this.#ownership.whenEpoch(frame.epoch, bound.signal);
      } catch {
        return this.#refuse(
          frame,
          "actor.moved",
          `node ${this.#ownership.self} has no view of epoch ${frame.epoch} yet`,
        );
      } finally {
        bound[Symbol.dispose]();
      }
    }
    const sender = this.#member(frame.from);
    if (sender !== undefined && sender.incarnation !== frame.incarnation) return;
    const kind = this.#actors?.kind(frame.kind);
    if (kind === undefined)
      return this.#refuse(frame, "actor.kind", `node ${this.#ownership.self} knows no actor kind ${frame.kind}`);
    const mine = frame.pinned || this.#ownership.ownerOf(frame.key) === this.#ownership.self;
    if (!mine || !this.#ownership.mayAct) {
      this.counters.moved++;
      return this.#refuse(frame, "actor.moved", `node ${this.#ownership.self} does not own ${frame.key}`);
    }
    if (frame.ask === undefined) this.#actors?.tellHere(kind, frame.key, frame.verb, frame.arg, frame.trace);
    else void this.#run(frame, frame.ask);
  }

  async #run(frame: CallFrame, ask: number): Promise<void> {
    const id = `${frame.from}/${ask}`;
    const abort = new AbortController();
    this.#served.set(id, abort);
    const back = { type: "answer" as const, ask, ...this.#sender() };
    try {
      const actors = this.#actors as ActorSystem;
      const kind = actors.kind(frame.kind) as NonNullable<ReturnType<ActorSystem["kind"]>>;
      const call = { signal: abort.signal, trace: frame.trace };
      const value = await actors.askHere(kind, frame.key, frame.verb, frame.arg, call);
      this.#post(frame.from, { ...back, value: value as Plain });
    } catch (error) {
      const { kind, code, message } = asFault(error);
      this.#post(frame.from, { ...back, fault: { kind, code, message } });
    } finally {
      this.#served.delete(id);
    }
  }

  #refuse(frame: CallFrame, code: string, message: string): void {
    if (frame.ask === undefined) return;
    const fault = { kind: "unavailable" as const, code, message };
    this.#post(frame.from, { type: "answer", ask: frame.ask, fault, ...this.#sender() });
  }

  #answered(frame: AnswerFrame): void {
    const pending = this.#pending.get(frame.ask);
    if (pending === undefined || pending.node !== frame.from) return;
    this.#pending.delete(frame.ask);
    if (frame.fault === undefined) pending.resolve(frame.value);
    else pending.reject(new Fault(frame.fault.kind, frame.fault.code, frame.fault.message));
  }

  /** A member that left, or came back as another incarnation, will not answer. */
  #dropGone(members: readonly Member[]): void {
    if (this.#pending.size === 0) return;
    const here = new Map(members.map(({ id, incarnation }) => [id, incarnation]));
    for (const [ask, { node, incarnation, reject }] of [...this.#pending]) {
      if (here.get(node) === incarnation) continue;
      this.#pending.delete(ask);
      reject(new Fault("unavailable", "actor.unavailable", `node ${node} left before it answered`));
    }
  }

  #deadline(ms: number): Disposable & { signal: AbortSignal } {
    const abort = new AbortController();
    const timer = this.#world.timer(ms, () =>
      abort.abort(new Fault("unavailable", "actor.view", `no newer view within ${ms} ms`)),
    );
    return { signal: abort.signal, [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }

  /** Every ask that still waits fails: this node stops or was fenced. */
  close(): void {
    for (const { reject } of this.#pending.values()) {
      reject(new Fault("unavailable", "actor.unavailable", `node ${this.#ownership.self} is stopping`));
    }
    this.#pending.clear();
    for (const abort of this.#served.values())
      abort.abort(new Fault("unavailable", "actor.unavailable", "the node is stopping"));
  }
}

/** Whatever kept a call from leaving, its caller sees that the node is away; what can never leave it is told as it is. */
function unreached(node: string, error: unknown): Fault {
  const fault = asFault(error);
  if (!fault.retryable || fault.code.startsWith("actor.")) return fault;
  const text = `node ${node} cannot be reached: ${fault.message}`;
  return new Fault("unavailable", "actor.unavailable", text, { cause: fault });
}

const neverAborts = new AbortController().signal;
