import { type Capability, neededCapability, type Plugin } from "@heddle/plugin-sdk";
import { suggestion } from "../manifest/nearest.ts";
import type { Problems } from "../manifest/problems.ts";
import { type MapNode, originAt, type Path, pathText, textAt } from "../manifest/tree.ts";

/** A plugin instance before its needs are bound. */
export interface Instance {
  /** Role in the manifest, or the name of a built-in. */
  readonly id: string;
  readonly plugin: Plugin;
  readonly config: unknown;
  /** The module and its version; a built-in has none. */
  readonly file?: string | undefined;
  readonly version?: string | undefined;
}

export interface BoundNeed {
  readonly capability: Capability<any, any>;
  readonly optional: boolean;
  /** Ids of the instances that answer; none for an unmet optional need, and for what the kernel itself gives. */
  readonly providers: readonly string[];
  readonly fromKernel: boolean;
}

/** A vertex of the graph. */
export interface Unit extends Instance {
  readonly needs: ReadonlyMap<string, BoundNeed>;
  /** Units that must have started before this one. */
  readonly after: readonly string[];
}

/** How an ambiguous or missing need may be met by something that is not in the distribution. */
export interface Missing {
  readonly unit: Instance;
  readonly need: string;
  readonly capability: Capability<any, any>;
}

export interface Graph {
  /** In the order of the manifest, built-ins first. */
  readonly units: readonly Unit[];
  /** Each level needs only the ones before. */
  readonly levels: readonly (readonly string[])[];
  readonly missing: readonly Missing[];
}

/** Binds needs to providers and orders the units; all that is ambiguous, cyclic or unused becomes a problem. */
export function buildGraph(instances: readonly Instance[], kernel: ReadonlySet<string>, from: GraphInput): Graph {
  return new GraphBuilder(instances, kernel, from).build();
}

export interface GraphInput {
  readonly tree: MapNode;
  /** Roles that could not be loaded: what they would give or need is not known. */
  readonly failed: readonly string[];
  readonly problems: Problems;
}

class GraphBuilder {
  readonly #instances: readonly Instance[];
  readonly #kernel: ReadonlySet<string>;
  readonly #tree: MapNode;
  readonly #problems: Problems;
  readonly #failed: readonly string[];
  readonly #missing: Missing[] = [];
  readonly #usedBinds = new Set<string>();

  constructor(instances: readonly Instance[], kernel: ReadonlySet<string>, { tree, failed, problems }: GraphInput) {
    this.#instances = instances;
    this.#kernel = kernel;
    this.#tree = tree;
    this.#failed = failed;
    this.#problems = problems;
  }

  build(): Graph {
    for (const instance of this.#instances) this.#refuseKernelCapabilities(instance);
    const units = this.#instances.map((instance) => this.#bound(instance));
    this.#reportUnusedBinds();
    const { levels, rest } = ordered(units);
    if (rest.length > 0) this.#reportCycle(rest);
    return { units, levels, missing: this.#missing };
  }

  #refuseKernelCapabilities({ id, plugin }: Instance): void {
    for (const { id: capability } of plugin.provides ?? []) {
      if (this.#kernel.has(capability))
        this.#problem(id, `provides ${capability}, which the kernel itself gives`, "remove it from provides");
    }
  }

  #bound(instance: Instance): Unit {
    const needs = new Map<string, BoundNeed>();
    for (const [name, need] of Object.entries(instance.plugin.requires ?? {})) {
      const capability = neededCapability(need);
      const optional = "optional" in need;
      const fromKernel = this.#kernel.has(capability.id);
      const providers = fromKernel ? [] : this.#providers(instance, name, { capability, optional });
      needs.set(name, { capability, optional, providers, fromKernel });
    }
    // A plugin that contributes to the extension point it collects does not wait for itself.
    const after = new Set([...needs.values()].flatMap((need) => need.providers));
    after.delete(instance.id);
    return { ...instance, needs, after: [...after] };
  }

  #providers(
    unit: Instance,
    name: string,
    need: { capability: Capability<any, any>; optional: boolean },
  ): readonly string[] {
    const { capability, optional } = need;
    const all = this.#instances.filter(({ plugin }) => plugin.provides?.some((one) => one.id === capability.id));
    if (capability.cardinality === "many") return all.map(({ id }) => id);
    // Whoever wraps a capability it also provides means the other provider.
    const candidates = all.filter(({ id }) => id !== unit.id).map(({ id }) => id);
    const picked = this.#picked(unit, capability.id, candidates);
    if (picked !== undefined) return picked;
    if (candidates.length === 1 || (candidates.length === 0 && optional)) return candidates;
    if (candidates.length === 0) {
      this.#missing.push({ unit, need: name, capability });
      return [];
    }
    const message = `requires.${name} needs ${capability.id}, and several plugins provide it: ${candidates.join(", ")}`;
    const bind = `bind: { ${capability.id}: ${candidates[0]} }`;
    const wraps = textAt(this.#tree, ["bind", capability.id]) === unit.id;
    this.#problem(unit.id, message, wraps ? `say which one it wraps, in this plugin: ${bind}` : `say which: ${bind}`);
    return [];
  }

  /** The provider that a `bind` names, the plugin's own before the global one; undefined when no bind speaks. */
  #picked(unit: Instance, capability: string, candidates: readonly string[]): readonly string[] | undefined {
    for (const path of [
      ["plugins", unit.id, "bind", capability],
      ["bind", capability],
    ]) {
      const role = textAt(this.#tree, path);
      // The globally bound provider itself may wrap another one.
      if (role === undefined || (role === unit.id && path[0] === "bind")) continue;
      if (candidates.includes(role)) {
        this.#usedBinds.add(pathText(path));
        return [role];
      }
    }
    return undefined;
  }

  #reportUnusedBinds(): void {
    const roles = this.#instances.map(({ id }) => id);
    for (const owner of [[], ...roles.map((role) => ["plugins", role])]) {
      const binds = [...owner, "bind"].reduce<ReturnType<typeof mapAt>>((node, key) => mapAt(node, key), this.#tree);
      for (const capability of binds?.entries.keys() ?? []) this.#reportUnusedBind([...owner, "bind", capability]);
    }
  }

  #reportUnusedBind(path: Path): void {
    if (this.#usedBinds.has(pathText(path))) return;
    const capability = String(path.at(-1));
    const role = textAt(this.#tree, path) ?? "";
    const providers = this.#instances.filter(({ plugin }) => plugin.provides?.some((one) => one.id === capability));
    const ids = providers.map(({ id }) => id);
    const at = originAt(this.#tree, path);
    const many = providers[0]?.plugin.provides?.find((one) => one.id === capability)?.cardinality === "many";
    if (many) {
      const message = `${capability} is an extension point: all its providers answer, and none can be picked`;
      this.#problems.add({ at, path: pathText(path), message, hint: "remove the line" });
    } else if (this.#failed.includes(role)) {
      return;
    } else if (!ids.includes(role)) {
      const hint =
        suggestion(role, ids, `${capability} is provided by`) ?? `nothing here provides ${capability}; remove the line`;
      this.#problems.add({ at, path: pathText(path), message: `"${role}" does not provide ${capability}`, hint });
    } else if (this.#failed.length === 0) {
      const message = `binds ${capability}, and nothing it applies to needs it`;
      this.#problems.add({ at, path: pathText(path), message, hint: "remove the line" });
    }
  }

  #reportCycle(rest: readonly Unit[]): void {
    const round = cycleIn(rest);
    const steps = round.map((unit, index) => {
      const next = round[(index + 1) % round.length]!;
      const need = [...unit.needs.values()].find(({ providers }) => providers.includes(next.id));
      return `${unit.id} needs ${need?.capability.id} of ${next.id}`;
    });
    const hint = "break the circle with an optional need, an extension point that is collected later, or another bind";
    this.#problem(round[0]!.id, `plugins need each other in a circle: ${steps.join(", ")}`, hint);
  }

  #problem(id: string, message: string, hint?: string): void {
    const path = ["plugins", id];
    this.#problems.add({ at: originAt(this.#tree, path), path: pathText(path), message, hint });
  }
}

function mapAt(node: MapNode | undefined, key: string): MapNode | undefined {
  const value = node?.entries.get(key)?.value;
  return value?.kind === "map" ? value : undefined;
}

/** Levels by longest path; what is left over lies on or behind a circle. */
function ordered(units: readonly Unit[]): { levels: string[][]; rest: readonly Unit[] } {
  const done = new Set<string>();
  const levels: string[][] = [];
  let rest = units;
  while (rest.length > 0) {
    const level = rest.filter((unit) => unit.after.every((id) => done.has(id)));
    if (level.length === 0) break;
    levels.push(level.map(({ id }) => id));
    for (const { id } of level) done.add(id);
    rest = rest.filter(({ id }) => !done.has(id));
  }
  return { levels, rest };
}

/** Some circle: every unit that is left over waits for another that is left over. */
function cycleIn(rest: readonly Unit[]): readonly Unit[] {
  const byId = new Map(rest.map((unit) => [unit.id, unit]));
  const walk: Unit[] = [];
  let at = rest[0]!;
  while (!walk.includes(at)) {
    walk.push(at);
    at = at.after.map((id) => byId.get(id)).find((unit) => unit !== undefined)!;
  }
  return walk.slice(walk.indexOf(at));
}
