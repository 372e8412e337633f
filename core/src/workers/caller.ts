import { connect } from "node:net";
import { type CallOptions, Fault, onAbort, type Plain, type World } from "@heddle/plugin-sdk";
import { sharedAbort } from "../shared-abort.ts";
import { decodeCallFrame, encodeCallFrame, frameKind } from "./call-frame.ts";
import { faultFromPlain } from "./fault-wire.ts";
import { FrameSocket } from "./frame-socket.ts";

/** Calls wait while so many bytes have not left this process. */
const unsentBytes = 16 * 1024 * 1024;
/** Calls that may wait for that; more are refused. */
const mostWaiting = 10_000;

interface Pending {
  resolve(value: Plain): void;
  reject(reason: unknown): void;
  page?(value: Plain): void;
}

/** A call that goes on after its caller has lost interest: what it brings may still matter. */
export interface OpenCall {
  readonly answer: Promise<Plain>;
  cancel(): void;
}

/** One worker's connection to the parent: calls to the services there, any number at once. */
export class Caller {
  readonly #frames: FrameSocket;
  readonly #pending = new Map<number, Pending>();
  readonly #line: (() => void)[] = [];
  readonly #closed = sharedAbort();
  #lastId = 0;

  private constructor(socket: ReturnType<typeof connect>, world: World) {
    this.#frames = new FrameSocket(socket, {
      name: "back-ends",
      world,
      handler: {
        frame: (bytes) => this.#take(bytes),
        closed: (reason) => this.#end(reason),
        drained: () => this.#letIn(),
      },
    });
  }

  /** Fault `workers.unreachable`. */
  static connect(path: string, world: World): Promise<Caller> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path });
      const failed = (cause: Error) =>
        reject(new Fault("unavailable", "workers.unreachable", `nobody answers at ${path}: ${cause.message}`));
      socket.once("error", failed);
      socket.once("connect", () => {
        socket.off("error", failed);
        resolve(new Caller(socket, world));
      });
    });
  }

  /** Aborts, with the fault, when the connection ends. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Rejects with the signal's reason as soon as it aborts; the other side is told. */
  call(service: number, method: string, args: readonly Plain[], { signal }: CallOptions): Promise<Plain> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const waits = this.#line.length > 0 || this.#frames.unsent > unsentBytes;
    if (waits && this.#line.length >= mostWaiting) {
      const text = `back-ends: ${mostWaiting} calls wait for the connection already`;
      return Promise.reject(new Fault("exhausted", "workers.overloaded", text));
    }
    return new Promise((resolve, reject) => {
      let open: OpenCall | undefined;
      const abort = () => {
        if (open === undefined) this.#line.splice(this.#line.indexOf(start), 1);
        else open.cancel();
        reject(signal.reason);
      };
      const start = () => {
        open = this.open(service, method, args);
        open.answer.then(resolve, reject).finally(forget);
      };
      const forget = onAbort(signal, abort);
      if (waits) this.#line.push(start);
      else start();
    });
  }

  /** A call at once, whatever waits; for small ones. */
  open(service: number, method: string, args: readonly Plain[]): OpenCall {
    const id = ++this.#lastId;
    const answer = new Promise<Plain>((resolve, reject) =>
      this.#begin(id, { resolve, reject }, [service, method, args]),
    );
    return { answer, cancel: () => this.#cancel(id) };
  }

  /** What the other side yields; it stays at most `ahead` pages in front of who reads here. */
  async *pages(
    service: number,
    method: string,
    args: readonly Plain[],
    { signal, ahead }: CallOptions & { readonly ahead: number },
  ): AsyncGenerator<Plain> {
    signal.throwIfAborted();
    const id = ++this.#lastId;
    const come: Plain[] = [];
    let over: { readonly failure?: unknown } | undefined;
    let wake = () => {};
    const end = (how: { readonly failure?: unknown }) => {
      over ??= how;
      wake();
    };
    const abort = () => {
      this.#cancel(id);
      end({ failure: signal.reason });
    };
    const page = (value: Plain) => {
      come.push(value);
      wake();
    };
    this.#begin(id, { resolve: () => end({}), reject: (failure) => end({ failure }), page }, [
      service,
      method,
      args,
      1 + ahead,
    ]);
    const forget = onAbort(signal, abort);
    try {
      for (;;) {
        signal.throwIfAborted();
        const next = come.shift();
        if (next !== undefined) {
          yield next;
          if (over === undefined) this.#frames.send(encodeCallFrame(frameKind.more, id, 1));
        } else if (over !== undefined) {
          if ("failure" in over) throw over.failure;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      forget();
      if (over === undefined) this.#cancel(id);
      this.#pending.delete(id);
    }
  }

  close(): void {
    this.#frames.end();
  }

  #begin(id: number, pending: Pending, parts: readonly Plain[]): void {
    if (this.#closed.signal.aborted) return pending.reject(this.#closed.signal.reason);
    try {
      this.#frames.send(encodeCallFrame(frameKind.call, id, ...parts));
    } catch (error) {
      return pending.reject(error);
    }
    this.#pending.set(id, pending);
  }

  #cancel(id: number): void {
    if (this.#pending.has(id)) this.#frames.send(encodeCallFrame(frameKind.cancel, id));
  }

  /** What is let in counts at once, so that no more goes than there is room for. */
  #letIn(): void {
    while (this.#line.length > 0 && this.#frames.unsent <= unsentBytes) this.#line.shift()?.();
  }

  #take(bytes: Uint8Array): void {
    const [kind, id, value] = decodeCallFrame(bytes);
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    if (kind === frameKind.page) return pending.page?.(value);
    this.#pending.delete(id);
    if (kind === frameKind.value) pending.resolve(value);
    else pending.reject(faultFromPlain(value));
  }

  #end(reason: Fault): void {
    this.#closed.abort(reason);
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const one of pending) one.reject(reason);
    for (const start of this.#line.splice(0)) start();
  }
}
