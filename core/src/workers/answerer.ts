import type { Socket } from "node:net";
import { type CallOptions, Fault, type Plain, type World } from "@heddle/plugin-sdk";
import { sharedAbort } from "../shared-abort.ts";
import { decodeCallFrame, encodeCallFrame, frameKind } from "./call-frame.ts";
import { faultToPlain } from "./fault-wire.ts";
import { FrameSocket } from "./frame-socket.ts";

/** Calls in progress of one worker may take so many bytes; then it is not read any further until some have ended. */
const progressBytes = 64 * 1024 * 1024;
/** The same for answers that the worker has not read. */
const unsentBytes = 16 * 1024 * 1024;

/** One service as one connection sees it; what it keeps for that connection goes with it. */
export interface Service {
  /** A value, a promise of one, or pages. */
  serve(method: string, args: readonly any[], call: CallOptions): unknown;
  close?(): Promise<void> | void;
  /**
   * Methods that a caller cannot take back: a write goes on, whoever still waits for it. They are many, and a signal of
   * its own would be a good part of what one costs.
   */
  readonly brief?: ReadonlySet<string>;
}

interface Progress {
  readonly abort: AbortController | undefined;
  readonly bytes: number;
  /** Pages that the caller still takes. */
  allowed: number;
  wake: () => void;
}

/** One worker's connection as the parent sees it. */
export class Answerer {
  readonly #frames: FrameSocket;
  readonly #services: readonly Service[];
  readonly #progress = new Map<number, Progress>();
  readonly #closed: () => void;
  readonly #gone = sharedAbort();
  #bytes = 0;
  #paused = false;

  constructor(
    socket: Socket,
    { world, services, closed }: { world: World; services: readonly Service[]; closed(): void },
  ) {
    this.#services = services;
    this.#closed = closed;
    this.#frames = new FrameSocket(socket, {
      name: "worker",
      world,
      handler: { frame: (bytes) => this.#take(bytes), closed: (why) => this.#end(why), drained: () => this.#pace() },
    });
  }

  destroy(): void {
    this.#frames.destroy();
  }

  #take(bytes: Uint8Array): void {
    const [kind, id, ...rest] = decodeCallFrame(bytes);
    if (kind === frameKind.call) return this.#begin(id, rest, bytes.length);
    const progress = this.#progress.get(id);
    if (progress === undefined) return;
    if (kind === frameKind.cancel) {
      progress.abort?.abort(new Fault("unavailable", "workers.cancelled", "the caller no longer waits"));
    } else progress.allowed += rest[0];
    progress.wake();
  }

  #begin(id: number, [service, method, args, allowed]: readonly any[], bytes: number): void {
    const brief = this.#services[service]?.brief?.has(method) === true;
    const progress = { abort: brief ? undefined : new AbortController(), bytes, allowed: allowed ?? 0, wake: () => {} };
    this.#progress.set(id, progress);
    this.#bytes += bytes;
    this.#pace();
    this.#run(id, progress, { service, method, args }).then(
      (value) => this.#answer(id, frameKind.value, value),
      (error) => this.#answer(id, frameKind.fault, faultToPlain(error)),
    );
  }

  async #run(id: number, progress: Progress, what: { service: number; method: string; args: any[] }): Promise<Plain> {
    const { signal } = progress.abort ?? this.#gone;
    const service = this.#services[what.service];
    if (service === undefined) throw new Fault("internal", "workers.service", `there is no service ${what.service}`);
    const result = service.serve(what.method, what.args, { signal });
    if (typeof result !== "object" || result === null || !(Symbol.asyncIterator in result))
      return (await result) as Plain;
    const pages = (result as AsyncIterable<Plain>)[Symbol.asyncIterator]();
    try {
      for (;;) {
        while (progress.allowed === 0 && !signal.aborted) {
          await new Promise<void>((resolve) => {
            progress.wake = resolve;
          });
        }
        signal.throwIfAborted();
        const { value, done } = await pages.next();
        if (done === true) return null;
        progress.allowed -= 1;
        this.#frames.send(encodeCallFrame(frameKind.page, id, value));
        this.#pace();
      }
    } finally {
      await pages.return?.();
    }
  }

  #answer(id: number, kind: number, value: Plain): void {
    const progress = this.#progress.get(id);
    if (progress === undefined) return;
    this.#progress.delete(id);
    this.#bytes -= progress.bytes;
    try {
      this.#frames.send(encodeCallFrame(kind, id, value ?? null));
    } catch (error) {
      this.#frames.send(encodeCallFrame(frameKind.fault, id, faultToPlain(error)));
    }
    this.#pace();
  }

  /** Who sends faster than it is served, or reads slower than it is answered, waits in its own socket. */
  #pace(): void {
    const full = this.#bytes > progressBytes || this.#frames.unsent > unsentBytes;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.#frames.pause();
    else this.#frames.resume();
  }

  #end(reason: Fault): void {
    const progress = [...this.#progress.values()];
    this.#progress.clear();
    this.#gone.abort(reason);
    for (const { abort, wake } of progress) {
      abort?.abort(reason);
      wake();
    }
    this.#closed();
  }
}
