import "reflect-metadata";
import { type Capability, Fault } from "@heddle/plugin-sdk";
import { type DependencyContainer, container as root } from "tsyringe";
import type { BoundNeed, Unit } from "./graph.ts";

/** Values that the kernel gives; a function, since some belong to one plugin: its log. */
export type KernelValues = ReadonlyMap<string, (unit: Unit) => unknown>;

/**
 * One tsyringe container per unit, holding what the unit declared and nothing else. Lookup is tsyringe's; who answers
 * was decided by the graph, and each value is kept here, so that it is made once and can be started and disposed.
 */
export class Containers {
  readonly #containers = new Map<string, DependencyContainer>();
  readonly #units: ReadonlyMap<string, Unit>;
  readonly #kernel: KernelValues;
  readonly #made = new Map<string, readonly unknown[]>();
  /** What is being made right now, outermost first. */
  readonly #making: string[] = [];

  constructor(units: readonly Unit[], kernel: KernelValues) {
    this.#units = new Map(units.map((unit) => [unit.id, unit]));
    this.#kernel = kernel;
    for (const unit of units) this.#containers.set(unit.id, this.#create(unit));
  }

  of(id: string): DependencyContainer {
    return this.#containers.get(id)!;
  }

  /** An object with a lazy getter for each need. */
  deps(unit: Unit): Record<string, unknown> {
    const deps = {};
    for (const [name, need] of unit.needs) {
      let found: { readonly value: unknown } | undefined;
      const get = () => {
        found ??= { value: this.#answer(unit, need) };
        return found.value;
      };
      Object.defineProperty(deps, name, { get, enumerable: true });
    }
    return Object.freeze(deps);
  }

  /** The values that a unit registered for a capability: one, or of an extension point as many as it registered. */
  values(id: string, capability: Capability<any, any>): readonly unknown[] {
    const key = `${id} → ${capability.id}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    if (this.#making.includes(key)) {
      const round = [...this.#making.slice(this.#making.indexOf(key)), key].join(", then ");
      throw new Fault("internal", "host.factory-cycle", `factories need each other's values: ${round}`);
    }
    const container = this.of(id);
    if (!container.isRegistered(capability.token as symbol)) {
      const name = this.#units.get(id)?.plugin.name ?? id;
      const message = `${name} provides ${capability.id}, but its register did not provide() it`;
      throw new Fault("internal", "host.not-registered", message);
    }
    this.#making.push(key);
    try {
      const { token } = capability;
      const values = capability.cardinality === "many" ? container.resolveAll(token) : [container.resolve(token)];
      this.#made.set(key, values);
      return values;
    } finally {
      this.#making.pop();
    }
  }

  #create(unit: Unit): DependencyContainer {
    const container = root.createChildContainer();
    const own = new Set((unit.plugin.provides ?? []).map(({ id }) => id));
    for (const need of unit.needs.values()) {
      // Under the token of what it provides itself, its container holds its own value.
      if (own.has(need.capability.id)) continue;
      container.register(need.capability.token as symbol, { useFactory: () => this.#answer(unit, need) });
    }
    return container;
  }

  #answer(unit: Unit, need: BoundNeed): unknown {
    const { capability, providers, fromKernel } = need;
    if (fromKernel) return this.#kernel.get(capability.id)?.(unit);
    if (capability.cardinality === "many") return providers.flatMap((id) => this.values(id, capability));
    const provider = providers[0];
    return provider === undefined ? undefined : this.values(provider, capability)[0];
  }
}
