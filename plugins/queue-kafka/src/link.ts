import type { World } from "@heddle/plugin-sdk";
import { asKafkaFault, fault } from "./faults.ts";

interface Connectable {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

/** One connected client of the driver, made when it is needed and again after it was dropped. */
export class Link<T extends Connectable> {
  readonly #world: World;
  readonly #what: string;
  readonly #withinMs: number;
  readonly #make: () => T;
  readonly #closing = new Set<Promise<void>>();
  /** Ends when the client's own attempt to connect does, which nothing cuts short. */
  readonly #connecting = new Map<T, Promise<unknown>>();
  #current: { readonly client: T; readonly ready: Promise<T> } | undefined;
  #closed = false;

  /** A connection that is not there after `withinMs` is given up: the broker asked may be silent. */
  constructor(options: { readonly world: World; readonly what: string; readonly withinMs: number; make(): T }) {
    this.#world = options.world;
    this.#what = options.what;
    this.#withinMs = options.withinMs;
    this.#make = options.make;
  }

  /** Resolves with the connected client; a failure is forgotten, so that the next caller tries again. */
  get(): Promise<T> {
    if (this.#closed) return Promise.reject(fault("queue.closed", "the queue has been stopped"));
    if (this.#current !== undefined) return this.#current.ready;
    const client = this.#make();
    const ready = this.#connect(client).then(
      () => client,
      (error) => {
        this.drop(client);
        throw asKafkaFault(error, `${this.#what} cannot connect`);
      },
    );
    this.#current = { client, ready };
    return ready;
  }

  isCurrent(client: T): boolean {
    return this.#current?.client === client;
  }

  /** The client is not used any more. `idle` resolves when nothing of it is under way. */
  drop(client: T, idle: Promise<unknown> = Promise.resolve()): void {
    if (this.#current?.client === client) this.#current = undefined;
    // A client that fails to say goodbye is gone all the same.
    const leave = () => client.disconnect().catch(() => {});
    const gone = idle.then(leave, leave);
    this.#closing.add(gone);
    void gone.finally(() => this.#closing.delete(gone));
    // A client that was told to leave while it connected would keep its connections.
    void this.#connecting.get(client)?.then(leave);
  }

  /** Resolves when all connections are closed, or after `withinMs` without them. */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    if (this.#current !== undefined) this.drop(this.#current.client);
    if (this.#closing.size === 0) return;
    await within(this.#world, withinMs, Promise.all(this.#closing)).catch(() => {});
  }

  #connect(client: T): Promise<void> {
    const connecting = client.connect();
    const settled = connecting.then(
      () => this.#connecting.delete(client),
      () => this.#connecting.delete(client),
    );
    this.#connecting.set(client, settled);
    return within(this.#world, this.#withinMs, connecting);
  }
}

/** `work`, or fault `queue.unavailable` after `ms`; the outcome of abandoned work is nobody's any more. */
export function within<T>(world: World, ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = world.timer(ms, () => reject(fault("queue.unavailable", `no answer within ${Math.round(ms)} ms`)));
    work.then(resolve, reject).finally(() => timer[Symbol.dispose]());
  });
}
