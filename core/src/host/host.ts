import {
  type CallOptions,
  type Capability,
  type ClusterStatus,
  Fault,
  type Health,
  isFault,
  LaunchOptions,
  Log,
  MemoryGate,
  type NodeHealth,
  Observability,
  ReadyNotes,
  World,
} from "@heddle/plugin-sdk";
import { nodeHealth } from "../observe/health.ts";
import type { MetricRegistry } from "../observe/metrics.ts";
import { pluginMetrics } from "../observe/plugin-metrics.ts";
import { Containers, type KernelValues } from "./containers.ts";
import type { Plan } from "./distribution.ts";
import type { Unit } from "./graph.ts";
import { type AnyContext, patience, UnitLife } from "./lifecycle.ts";

export interface HostOptions {
  readonly world: World;
  readonly log: Log;
  readonly memory: MemoryGate;
  readonly metrics: MetricRegistry;
  readonly readyNotes: ReadyNotes;
  readonly launch: LaunchOptions;
  readonly cluster: (call: CallOptions) => Promise<ClusterStatus>;
  /** Whether the node owns its partitions; asked by each health check once everything has started. */
  readonly ready: () => boolean;
}

/** How long a unit may go on after the signal of its start or stop has aborted. */
const graceMs = 500;

/** Instantiates the plugins of a plan, starts them along the graph and stops them backwards. */
export class Host {
  readonly #plan: Plan;
  readonly #options: HostOptions;
  readonly #containers: Containers;
  readonly #lives: ReadonlyMap<string, UnitLife>;
  readonly #contexts = new Map<string, AnyContext>();
  /** Aborts with the first failure of a start, or when the host is stopped while it starts. */
  readonly #giveUp = new AbortController();
  /** Aborts when the deadline of stopping has passed. */
  readonly #stopping = new AbortController();
  #starting: Promise<void> = Promise.resolve();
  #registered = false;
  #started = false;
  #stopped: Promise<void> | undefined;

  constructor(plan: Plan, options: HostOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#containers = new Containers(plan.units, this.#kernelValues());
    const lives = plan.units.map((unit) => {
      const context = this.#context(unit);
      this.#contexts.set(unit.id, context(this.#stopping.signal));
      return [unit.id, new UnitLife(unit, this.#containers, context)] as const;
    });
    this.#lives = new Map(lives);
  }

  /**
   * Registers all, then starts each unit as soon as those it needs have started. A failure aborts the other starts and
   * stops what had begun. Faults: `host.start-failed` with the plugin's own error as cause.
   */
  async start(signal: AbortSignal): Promise<void> {
    // Forwarded only while starting: plugins may keep this signal, and a timeout of the caller fires later, too.
    const forward = () => this.#giveUp.abort(signal.reason);
    if (signal.aborted) forward();
    else signal.addEventListener("abort", forward, { once: true });
    const giveUp = this.#giveUp.signal;
    this.#starting = this.#registerAndStart(giveUp);
    try {
      await this.#starting;
      this.#started = true;
    } catch (error) {
      await this.stop({ deadlineMs: this.#plan.settings.node.stopTimeout });
      throw giveUp.aborted ? giveUp.reason : error;
    } finally {
      signal.removeEventListener("abort", forward);
    }
  }

  /** The values of all providers in manifest order, without an edge in the graph: for extension points of the kernel. */
  collect<V>(capability: Capability<V, any>): readonly V[] {
    if (!this.#registered)
      throw new Fault("unavailable", "host.not-running", `nothing is registered yet: ${capability.id}`);
    const providers = this.#plan.units.filter(({ plugin }) => plugin.provides?.some(({ id }) => id === capability.id));
    return providers.flatMap(({ id }) => this.#containers.values(id, capability)) as readonly V[];
  }

  /** What one unit provides, for those outside the graph that pass it on. */
  provided(id: string, capability: Capability<any, any>): unknown {
    return this.#containers.values(id, capability)[0];
  }

  /** Of one unit. */
  async healthOf(id: string): Promise<Health> {
    const unit = this.#plan.units.find((one) => one.id === id);
    return (await unit?.plugin.health?.(this.#contexts.get(id)!)) ?? { state: "up" };
  }

  async health(): Promise<NodeHealth> {
    const checks = this.#plan.units.flatMap(({ id, plugin }) => {
      if (plugin.health === undefined) return [];
      return [{ id, check: async () => plugin.health!(this.#contexts.get(id)!) }];
    });
    const serving = this.#started && this.#stopped === undefined && this.#options.ready();
    return nodeHealth(checks, { world: this.#options.world, serving });
  }

  /** Stops each unit when all that need it have stopped; after the deadline its signal aborts. Safe to call again. */
  stop(limit: { readonly deadlineMs: number }): Promise<void> {
    this.#stopped ??= this.#stopAll(limit.deadlineMs);
    return this.#stopped;
  }

  async #registerAndStart(signal: AbortSignal): Promise<void> {
    for (const life of this.#lives.values()) {
      try {
        life.register(signal);
      } catch (error) {
        throw this.#blame(life, error);
      }
    }
    this.#registered = true;
    const starts = new Map<string, Promise<void>>();
    for (const id of this.#plan.levels.flat()) {
      const life = this.#lives.get(id)!;
      const needed = life.unit.after.map((other) => starts.get(other));
      starts.set(id, this.#startOne(life, needed, signal));
    }
    using waiting = patience(signal, graceMs, this.#options.world);
    const results = await Promise.race([Promise.allSettled(starts.values()), waiting.over]);
    if (results === undefined) this.#options.log.error("a plugin goes on starting though it was told to give up");
    const failed = results?.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    signal.throwIfAborted();
  }

  async #startOne(life: UnitLife, needed: readonly unknown[], signal: AbortSignal): Promise<void> {
    await Promise.all(needed);
    signal.throwIfAborted();
    try {
      await life.start(signal);
    } catch (error) {
      throw this.#blame(life, error);
    }
  }

  /** The first to be blamed is the reason; what fails after it only heeded the signal. */
  #blame({ unit }: UnitLife, error: unknown): Fault {
    const fault = startFault(unit, error);
    this.#giveUp.abort(fault);
    return fault;
  }

  async #stopAll(deadlineMs: number): Promise<void> {
    const { world, log } = this.#options;
    const deadline = world.timer(deadlineMs, () => {
      log.warn("stopping takes too long", { deadlineMs });
      this.#stopping.abort(new Fault("unavailable", "host.stop-deadline", `not stopped within ${deadlineMs} ms`));
    });
    if (!this.#started) this.#giveUp.abort(new Fault("unavailable", "host.stopping", "the node is stopping"));
    await this.#starting.catch(() => {});
    const stops = new Map<string, Promise<void>>();
    for (const id of this.#plan.levels.flat().toReversed()) {
      const users = this.#plan.units.filter((unit) => unit.after.includes(id)).map((unit) => stops.get(unit.id));
      stops.set(
        id,
        Promise.all(users).then(() => this.#stopOne(id)),
      );
    }
    await Promise.all(stops.values());
    deadline[Symbol.dispose]();
  }

  /** Never rejects: one plugin that cannot stop must not keep the others from it. */
  async #stopOne(id: string): Promise<void> {
    const { world, log } = this.#options;
    const { signal } = this.#stopping;
    const failed = (error: unknown) => log.child(id).error("stopping failed", { error });
    using waiting = patience(signal, graceMs, world);
    const stopped = this.#lives.get(id)!.stop(signal, failed);
    const done = await Promise.race([stopped.then(() => true), waiting.over]);
    if (done === undefined) log.child(id).error("did not stop and was left behind", { graceMs });
  }

  #context(unit: Unit): (signal: AbortSignal) => AnyContext {
    const { id, config, plugin } = unit;
    const container = this.#containers.of(id);
    const deps = this.#containers.deps(unit);
    const metrics = pluginMetrics(this.#options.metrics, { role: id, name: plugin.name, specs: plugin.metrics ?? {} });
    return (signal) => ({ id, config, deps, metrics, container, signal });
  }

  #kernelValues(): KernelValues {
    const { world, log, memory, metrics, readyNotes, launch } = this.#options;
    const logs = new Map<string, Log>();
    const logOf = ({ id }: Unit): Log => {
      const known = logs.get(id) ?? log.child(id);
      logs.set(id, known);
      return known;
    };
    const observability: Observability = {
      metrics: () => metrics.text(),
      health: () => this.health(),
      cluster: (call) => this.#options.cluster(call),
    };
    return new Map<string, (unit: Unit) => unknown>([
      [World.id, () => world],
      [Log.id, logOf],
      [MemoryGate.id, () => memory],
      [Observability.id, () => observability],
      [ReadyNotes.id, () => readyNotes],
      [LaunchOptions.id, () => launch],
    ]);
  }
}

function startFault({ id, plugin }: Unit, cause: unknown): Fault {
  const why = cause instanceof Error ? cause.message : String(cause);
  const name = plugin.name === id ? id : `${id} (${plugin.name})`;
  const kind = isFault(cause) ? cause.kind : "internal";
  return new Fault(kind, "host.start-failed", `${name} could not start: ${why}`, { cause, data: { plugin: id } });
}
