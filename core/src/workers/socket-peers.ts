import { once } from "node:events";
import { chmod } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import {
  type CallOptions,
  Fault,
  type Log,
  onAbort,
  type PeerIdentity,
  type PeerLink,
  type World,
} from "@heddle/plugin-sdk";
import { FrameSocket, frameBytes } from "./frame-socket.ts";

/** A send to a peer waits while so many bytes have not left this process for it. */
const unsentBytes = 4 * 1024 * 1024;
/** Frames of a peer that have come and wait for the one before; then it is not read any further. */
const mostInLine = 64;
const mostWaiting = 10_000;
/** After the end of the link, for a peer that does not read. */
const lingerMs = 1_000;

type OnFrame = (from: string, frame: Uint8Array) => Promise<void> | void;

/** Frames between the processes of one user on one machine: the mode of the socket file is the proof. */
export class SocketPeers implements PeerLink {
  readonly #path: string;
  readonly #world: World;
  readonly #log: Log;
  readonly #outgoing = new Map<string, Promise<Outgoing>>();
  readonly #incoming = new Set<FrameSocket>();
  #server: Server | undefined;
  #id = "";
  #closed = false;

  constructor(path: string, { world, log }: { readonly world: World; readonly log: Log }) {
    this.#path = path;
    this.#world = world;
    this.#log = log;
  }

  async listen(onFrame: OnFrame, identity?: PeerIdentity): Promise<string> {
    this.#id = identity?.id ?? this.#path;
    const server = createServer((socket) => this.#welcome(socket, onFrame, identity));
    this.#server = server;
    // A server of a cluster's worker would otherwise be the parent's.
    server.listen({ path: this.#path, exclusive: true, backlog: 128 });
    await once(server, "listening");
    await chmod(this.#path, 0o600);
    return this.#path;
  }

  async send(address: string, frame: Uint8Array, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    if (this.#closed) throw closedFault(this.#path);
    if (frame.length > frameBytes) {
      const text = `a frame of ${frame.length} bytes for ${address}, the limit is ${frameBytes}`;
      throw new Fault("invalid", "peer.frame-too-large", text);
    }
    let outgoing = this.#outgoing.get(address);
    if (outgoing === undefined) {
      outgoing = this.#dial(address);
      this.#outgoing.set(address, outgoing);
      outgoing.catch(() => this.#outgoing.delete(address));
    }
    await (await outgoing).send(frame, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const server = this.#server;
    const closed = server?.listening ? new Promise<void>((resolve) => server.close(() => resolve())) : undefined;
    const dialled = await Promise.allSettled(this.#outgoing.values());
    for (const one of dialled) if (one.status === "fulfilled") one.value.close();
    for (const frames of [...this.#incoming]) frames.destroy();
    await closed;
  }

  async #dial(address: string): Promise<Outgoing> {
    const socket = connect({ path: address });
    try {
      await once(socket, "connect");
    } catch (cause) {
      const why = (cause as Error).message;
      throw new Fault("unavailable", "peer.unreachable", `no worker answers at ${address}: ${why}`, { cause });
    }
    const outgoing: Outgoing = new Outgoing(socket, { world: this.#world, address }, () =>
      this.#outgoing.delete(address),
    );
    await outgoing.send(Buffer.from(this.#id), neverAborts);
    if (this.#closed) outgoing.close();
    return outgoing;
  }

  #welcome(socket: Socket, onFrame: OnFrame, identity: PeerIdentity | undefined): void {
    let from: string | undefined;
    let inLine = 0;
    let last: Promise<void> | undefined;
    const take = (sender: string, frame: Uint8Array): Promise<void> | void => {
      if (identity?.admit(sender) === false) return frames.destroy();
      try {
        return onFrame(sender, frame)?.catch(failed);
      } catch (error) {
        failed(error);
      }
    };
    const failed = (error: unknown) => this.#log.warn("the receiver of a frame failed", { from, error });
    const follow = (sender: string, frame: Uint8Array, before: Promise<void> | undefined) => {
      // Nothing is in progress and nothing has to be waited for: no promise for a frame.
      const result = before === undefined ? take(sender, frame) : before.then(() => take(sender, frame));
      if (!(result instanceof Promise)) return;
      inLine += 1;
      if (inLine >= mostInLine) frames.pause();
      const done: Promise<void> = result.then(() => {
        inLine -= 1;
        if (inLine < mostInLine) frames.resume();
        if (last === done) last = undefined;
      });
      last = done;
    };
    const frames: FrameSocket = new FrameSocket(socket, {
      name: "peer",
      world: this.#world,
      handler: {
        frame: (bytes) => {
          if (from === undefined) from = Buffer.from(bytes).toString();
          else follow(from, bytes, last);
        },
        closed: () => this.#incoming.delete(frames),
      },
    });
    this.#incoming.add(frames);
  }
}

class Outgoing {
  readonly #frames: FrameSocket;
  readonly #address: string;
  readonly #line: (() => void)[] = [];
  readonly #world: World;
  #ended = false;
  #closed = false;

  constructor(socket: Socket, { world, address }: { world: World; address: string }, gone: () => void) {
    this.#world = world;
    this.#address = address;
    this.#frames = new FrameSocket(socket, {
      name: address,
      world,
      handler: {
        frame: () => this.#frames.destroy(),
        drained: () => this.#letIn(),
        closed: () => {
          this.#ended = true;
          gone();
          this.#letIn();
        },
      },
    });
  }

  send(frame: Uint8Array, signal: AbortSignal): Promise<void> {
    if (this.#line.length === 0 && this.#frames.unsent <= unsentBytes) return this.#hand(frame);
    if (this.#line.length >= mostWaiting) {
      const text = `${mostWaiting} frames wait for ${this.#address} already`;
      return Promise.reject(new Fault("exhausted", "peer.overloaded", text));
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        forget();
        this.#hand(frame).then(resolve, reject);
      };
      const leave = () => {
        this.#line.splice(this.#line.indexOf(enter), 1);
        reject(signal.reason);
      };
      const forget = onAbort(signal, leave);
      this.#line.push(enter);
    });
  }

  /** What was handed over still goes, for a while; what waits does not. */
  close(): void {
    this.#closed = true;
    this.#frames.end();
    this.#letIn();
    this.#world.timer(lingerMs, () => this.#frames.destroy());
  }

  async #hand(frame: Uint8Array): Promise<void> {
    if (this.#closed) throw closedFault(this.#address);
    if (this.#ended) throw new Fault("unavailable", "peer.unreachable", `the worker at ${this.#address} has gone`);
    this.#frames.send(frame);
  }

  #letIn(): void {
    const over = this.#ended || this.#closed;
    while (this.#line.length > 0 && (over || this.#frames.unsent <= unsentBytes)) this.#line.shift()?.();
  }
}

const closedFault = (path: string) => new Fault("unavailable", "peer.closed", `the link of ${path} is closed`);
const neverAborts = new AbortController().signal;
