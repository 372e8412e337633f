import { once } from "node:events";
import { chmod } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import {
  AttributeStore,
  type CallOptions,
  type Capability,
  ClusterCoordinator,
  EntityStore,
  type Health,
  type Log,
  type Plain,
  QueueBackend,
  TimeseriesStore,
  type World,
} from "@heddle/plugin-sdk";
import { Answerer, type Service } from "./answerer.ts";
import type { Caller } from "./caller.ts";
import { CoordinatorService, RemoteCoordinator, type SeatOptions, workerLeaseMs } from "./coordinator-wire.ts";
import { QueueService, queueInfo, RemoteQueue, unknownMethod } from "./queue-wire.ts";
import {
  AttributeService,
  EntityService,
  RemoteAttributes,
  RemoteEntities,
  RemoteTimeseries,
  TimeseriesService,
} from "./store-wire.ts";

/** How a capability crosses to another process: both ends, and what the far end must know before its first call. */
interface Crossing<V> {
  readonly capability: Capability<V, any>;
  serve(value: V, seats: SeatOptions): Service;
  info?(value: V): unknown;
  remote(caller: Caller, at: { readonly service: number; readonly info: any; readonly world: World }): V;
}

const crossing = <V>(one: Crossing<V>): Crossing<any> => one;

/** What a back-end of one process may provide. */
const crossings: readonly Crossing<any>[] = [
  crossing({
    capability: QueueBackend,
    serve: (queue) => new QueueService(queue),
    info: queueInfo,
    remote: (caller, { service, info }) => new RemoteQueue(caller, service, info),
  }),
  crossing({
    capability: EntityStore,
    serve: (store) => new EntityService(store),
    remote: (caller, { service }) => new RemoteEntities(caller, service),
  }),
  crossing({
    capability: AttributeStore,
    serve: (store) => new AttributeService(store),
    remote: (caller, { service }) => new RemoteAttributes(caller, service),
  }),
  crossing({
    capability: TimeseriesStore,
    serve: (store) => new TimeseriesService(store),
    remote: (caller, { service }) => new RemoteTimeseries(caller, service),
  }),
  crossing({
    capability: ClusterCoordinator,
    serve: (coordinator, seats) => new CoordinatorService(coordinator, seats),
    remote: (caller, { service, world }) => new RemoteCoordinator(caller, service, world),
  }),
];

const crossingOf = (capability: string) => crossings.find((one) => one.capability.id === capability);

export const canCross = (capability: Capability<any, any>): boolean => crossingOf(capability.id) !== undefined;

/** One provided value, by the role that provides it. */
export interface Offer {
  readonly unit: string;
  readonly capability: Capability<any, any>;
  readonly value: unknown;
}

interface Entry {
  readonly unit: string;
  readonly capability: string;
  readonly info: unknown;
}

export interface BackEndServerOptions {
  readonly world: World;
  readonly log: Log;
  readonly offers: readonly Offer[];
  health(unit: string): Promise<Health>;
  /** This worker does not say any more that it is alive; it has lost its seat. */
  silent(worker: number): void;
  readonly leaseMs?: number;
}

/** Serves the back-ends of this machine to its workers over a Unix socket that only this user may open. */
export class BackEndServer implements AsyncDisposable {
  readonly #options: BackEndServerOptions;
  readonly #server: Server;
  readonly #open = new Set<Answerer>();
  readonly #closing = new Set<Promise<unknown>>();

  constructor(options: BackEndServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#welcome(socket));
  }

  async listen(path: string): Promise<void> {
    this.#server.listen({ path, exclusive: true });
    await once(this.#server, "listening");
    await chmod(path, 0o600);
    this.#server.on("error", (error) => this.#options.log.error("socket for workers failed", { error }));
  }

  /** Cuts the workers that are still there. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const answerer of [...this.#open]) answerer.destroy();
    await closed;
    await Promise.all(this.#closing);
  }

  #welcome(socket: Socket): void {
    const { world, log, offers, silent, leaseMs } = this.#options;
    let worker = 0;
    const seats = { world, leaseMs: leaseMs ?? workerLeaseMs, silent: () => silent(worker) };
    const services: Service[] = offers.map((offer) => crossingOf(offer.capability.id)!.serve(offer.value, seats));
    const door: Service = {
      serve: (method: string, [first]: readonly any[], _call: CallOptions) => {
        if (method === "health") return this.#options.health(first);
        if (method !== "hello") throw unknownMethod("door", method);
        worker = first;
        return this.#entries() as unknown as Plain;
      },
    };
    const answerer = new Answerer(socket, {
      world,
      services: [door, ...services],
      closed: () => {
        this.#open.delete(answerer);
        const closing = Promise.all(services.map(async (service) => service.close?.()))
          .catch((error) => log.warn("what a worker had open could not be closed", { worker, error }))
          .finally(() => this.#closing.delete(closing));
        this.#closing.add(closing);
      },
    });
    this.#open.add(answerer);
  }

  #entries(): readonly Entry[] {
    return this.#options.offers.map(({ unit, capability, value }) => {
      return { unit, capability: capability.id, info: crossingOf(capability.id)?.info?.(value) ?? null };
    });
  }
}

const door = 0;

/** The back-ends of the machine as one worker reaches them. */
export class BackEnds {
  readonly #caller: Caller;
  readonly #entries: readonly Entry[];
  readonly #world: World;

  private constructor(caller: Caller, entries: readonly Entry[], world: World) {
    this.#caller = caller;
    this.#entries = entries;
    this.#world = world;
  }

  static async meet(caller: Caller, { worker, world }: { worker: number; world: World }, call: CallOptions) {
    const entries = (await caller.call(door, "hello", [worker], call)) as unknown as readonly Entry[];
    return new BackEnds(caller, entries, world);
  }

  value(unit: string, capability: Capability<any, any>): unknown {
    const at = this.#entries.findIndex((one) => one.unit === unit && one.capability === capability.id);
    const info = this.#entries[at]?.info;
    return crossingOf(capability.id)?.remote(this.#caller, { service: at + 1, info, world: this.#world });
  }

  async health(unit: string): Promise<Health> {
    const answer = await this.#caller.open(door, "health", [unit]).answer;
    return answer as unknown as Health;
  }
}
