import type { DependencyContainer } from "tsyringe";
import type { FaultSpecs } from "../fault.ts";
import type { Static, TObject } from "../schema.ts";
import type { Capability, Deps, Needs } from "./capability.ts";

export interface MetricSpec {
  readonly kind: "counter" | "gauge" | "histogram";
  /** `s`, `bytes`, `messages`: becomes the last part of the name, `heddle_<plugin>_<metric>_<unit>`. */
  readonly unit: string;
  readonly help: string;
  /** Names of labels; their values must be few: never a device id. */
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram's buckets, in `unit`. */
  readonly buckets?: readonly number[];
}
export type MetricSpecs = Readonly<Record<string, MetricSpec>>;

/** Counters add `value`, gauges take it, histograms observe it. */
export interface Metric {
  record(value: number, labels?: Readonly<Record<string, string>>): void;
}

export interface Health {
  readonly state: "up" | "degraded" | "down";
  readonly detail?: string;
}

export interface PluginContext<C, N extends Needs, M extends MetricSpecs> {
  /** The instance's name in the manifest. */
  readonly id: string;
  /** Validated, defaulted, decoded, deeply frozen. */
  readonly config: C;
  /** Lazy getters: read them inside factories and hooks, never in the body of `register`. */
  readonly deps: Deps<N>;
  readonly metrics: { readonly [K in keyof M]: Metric };
  /** This instance's own tsyringe container; it holds what was declared and nothing else. */
  readonly container: DependencyContainer;
  /** In `start`: start-up is given up. In `stop`: the deadline has passed. */
  readonly signal: AbortSignal;
}

export interface Plugin<S extends TObject = TObject, N extends Needs = Needs, M extends MetricSpecs = MetricSpecs> {
  /** The npm package name. */
  readonly name: string;
  /** Defaults to that of package.json; if given, the two must agree. */
  readonly version?: string;
  /** Semver range of plugin-sdk. */
  readonly sdk: string;
  /** One sentence; the first line of its reference page. */
  readonly summary: string;
  readonly stability: "experimental" | "beta" | "stable";
  /**
   * One instance for all nodes of a machine: a back-end that keeps its files or its state to one process, a socket that
   * cannot be shared. With several workers, a back-end runs in their parent and they reach it from there; what needs the
   * node runs in the first worker.
   */
  readonly oneProcess?: boolean;
  readonly config: S;
  readonly requires?: N;
  readonly provides?: readonly Capability<any, any>[];
  readonly metrics?: M;
  readonly faults?: FaultSpecs;
  /**
   * What this machine lacks for the plugin, one text each whose later lines are the way to get it: a native part that
   * is not built, a program that is not installed. Part of `heddle check`; opens no connection.
   */
  preflight?(): readonly string[] | Promise<readonly string[]>;
  /** Says how things are made; no I/O, no await. */
  register(ctx: PluginContext<Static<S>, N, M>): void;
  start?(ctx: PluginContext<Static<S>, N, M>): Promise<void>;
  /** Safe twice, and safe without start. */
  stop?(ctx: PluginContext<Static<S>, N, M>): Promise<void>;
  health?(ctx: PluginContext<Static<S>, N, M>): Health | Promise<Health>;
}

const mark = Symbol.for("heddle.plugin");

/** The card of a plugin: what it is, what it needs and gives, how it is configured. Default export of its package. */
export function definePlugin<S extends TObject, const N extends Needs = {}, const M extends MetricSpecs = {}>(
  plugin: Plugin<S, N, M>,
): Plugin<S, N, M> {
  return Object.freeze(Object.defineProperty({ ...plugin }, mark, { value: true }));
}

/** True for what `definePlugin` of any copy of the SDK returned. */
export function isPlugin(value: unknown): value is Plugin {
  return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[mark] === true;
}

/** A provided object with `start` is started, one with `[Symbol.asyncDispose]` is disposed, in dependency order. */
export interface Startable {
  start?(signal: AbortSignal): Promise<void>;
  [Symbol.asyncDispose]?(): PromiseLike<void>;
}

/** Registers the factory of a provided capability; called at most once per instance. */
export function provide<V>(container: DependencyContainer, what: Capability<V, any>, make: () => V & Startable): void {
  let made: { readonly value: V } | undefined;
  container.register(what.token, {
    useFactory: () => {
      made ??= { value: make() };
      return made.value;
    },
  });
}
