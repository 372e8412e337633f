import { LaunchOptions, Log, MemoryGate, Observability, type Plugin, ReadyNotes, World } from "@heddle/plugin-sdk";
import { type Environment, interpolate } from "../manifest/interpolate.ts";
import type { JsonSchema } from "../manifest/json-schema.ts";
import { applyOverrides } from "../manifest/overrides.ts";
import { type Problem, Problems } from "../manifest/problems.ts";
import { readManifest } from "../manifest/read.ts";
import { ManifestSchema, type ManifestSettings } from "../manifest/schema.ts";
import { type MapNode, nodeAt, originAt, type Tree, textAt, valueOriginAt } from "../manifest/tree.ts";
import { readConfig } from "./config.ts";
import { buildGraph, type Graph, type Instance, type Missing } from "./graph.ts";
import { importIfPossible, knownPlugin, providersOf } from "./known-plugins.ts";
import { loadPlugin } from "./load.ts";

/** What every plugin may need without any plugin providing it. */
export const kernelCapabilities = [World, Log, MemoryGate, Observability, ReadyNotes, LaunchOptions] as const;

/** A vertex that the node itself brings; it takes part in the graph like a loaded plugin. */
export interface BuiltIn {
  readonly id: string;
  readonly plugin: Plugin<any, any, any>;
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface DistributionInput {
  /** Path of a manifest, or its content. */
  readonly manifest: string | object;
  readonly set?: readonly string[];
  readonly env?: Environment;
  readonly builtIns?: readonly BuiltIn[];
  /** Relative paths of the command line and of a manifest object start here; default: the working directory. */
  readonly cwd?: string;
}

/** What can be started: every unit has its config and its providers. */
export interface Plan {
  readonly settings: ManifestSettings;
  readonly units: Graph["units"];
  readonly levels: Graph["levels"];
}

export interface LoadedDistribution {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Merged and expanded, with the origin of each value. */
  readonly tree: MapNode;
  readonly files: readonly string[];
  /** What could be loaded, problems or not. */
  readonly instances: readonly Instance[];
  /** The same with its needs bound as far as they could be. */
  readonly units: Graph["units"];
  /** Roles whose plugin could not be loaded. */
  readonly failedRoles: readonly string[];
  /** Only without problems. */
  readonly plan: Plan | undefined;
}

/** Reads, loads, validates and orders a distribution. Opens no connection, starts nothing, tells every problem. */
export async function loadDistribution(input: DistributionInput): Promise<LoadedDistribution> {
  const problems = new Problems();
  const cwd = input.cwd ?? process.cwd();
  const read = readManifest(input.manifest, cwd, problems);
  const set = applyOverrides(read.tree, input.set ?? [], { cwd, problems });
  const tree = interpolate(set, input.env ?? process.env, problems);
  // A file that cannot be read or parsed says nothing about the fields it might have had.
  const readable = tree.entries.size > 0 || problems.errors.length === 0;
  const settings = readable ? readSettings(tree, problems) : undefined;
  const loaded = await loadRoles(tree, input.builtIns ?? [], problems);
  const kernel = new Set<string>(kernelCapabilities.map(({ id }) => id));
  const graph = buildGraph(loaded.instances, kernel, { tree, failed: loaded.failed, problems });
  await reportMissing(graph.missing, { tree, failed: loaded.failed, problems });
  const { errors, warnings } = problems;
  const plan =
    errors.length > 0 || settings === undefined ? undefined : { settings, units: graph.units, levels: graph.levels };
  return {
    problems: errors,
    warnings,
    tree,
    files: read.files,
    instances: loaded.instances,
    units: graph.units,
    failedRoles: loaded.failed,
    plan,
  };
}

function readSettings(tree: MapNode, problems: Problems): ManifestSettings | undefined {
  const subject = { tree, path: [], prefix: "", hint: "heddle config schema prints what a manifest may say" };
  const manifest = readConfig(ManifestSchema as unknown as JsonSchema, subject, problems);
  if (manifest === undefined) return undefined;
  const { plugins: _plugins, bind: _bind, ...settings } = manifest as ManifestSettings & Record<string, unknown>;
  return settings;
}

async function loadRoles(tree: MapNode, builtIns: readonly BuiltIn[], problems: Problems) {
  const roles = nodeAt(tree, ["plugins"]);
  const names = roles?.kind === "map" ? [...roles.entries.keys()] : [];
  const found = await Promise.all(names.map((role) => loadRole(role, tree, problems)));
  const own = builtIns.map(
    ({ id, plugin, config }): Instance => ({ id, plugin, config: Object.freeze({ ...config }) }),
  );
  for (const { id } of own) {
    if (!names.includes(id)) continue;
    const message = "this role belongs to the kernel";
    problems.add({ at: originAt(tree, ["plugins", id]), path: `plugins.${id}`, message, hint: "choose another name" });
  }
  return {
    instances: [...own, ...found.filter((instance) => instance !== undefined)],
    failed: names.filter((_, index) => found[index] === undefined),
  };
}

async function loadRole(role: string, tree: MapNode, problems: Problems): Promise<Instance | undefined> {
  const path = ["plugins", role, "use"];
  const node: Tree | undefined = nodeAt(tree, path);
  const use = textAt(tree, path);
  // Absent or no text: the schema of the manifest says so. Not expanded: that was said as well.
  if (use === undefined || node?.kind !== "scalar" || node.failed) return undefined;
  const loaded = await loadPlugin({ role, use, at: node.at }, problems);
  if (loaded === undefined) return undefined;
  const { plugin, file, version } = loaded;
  for (const lack of (await plugin.preflight?.()) ?? []) {
    const [message, ...hint] = lack.split("\n");
    problems.add({
      at: node.at,
      path: `plugins.${role}.use`,
      message: `${plugin.name}: ${message}`,
      hint: hint.join("\n"),
    });
  }
  const written = nodeAt(tree, ["plugins", role, "config"]);
  // Anything but a map was refused by the schema of the manifest.
  if (written !== undefined && written.kind !== "map") return { id: role, plugin, config: undefined, file, version };
  const subject = {
    tree,
    path: ["plugins", role, "config"],
    prefix: `${plugin.name}: `,
    hint: `heddle plugins show ${role} lists its fields`,
  };
  try {
    const config = readConfig(plugin.config as unknown as JsonSchema, subject, problems);
    return { id: role, plugin, config, file, version };
  } catch (error) {
    // Only a broken schema gets here: the compiler of the validator refuses it.
    const message = `${plugin.name} has a config schema that does not compile: ${(error as Error).message}`;
    problems.add({ at: node.at, path: `plugins.${role}`, message, hint: "the author of the plugin must mend it" });
    return { id: role, plugin, config: undefined, file, version };
  }
}

interface Situation {
  readonly tree: MapNode;
  readonly failed: readonly string[];
  readonly problems: Problems;
}

async function reportMissing(missing: readonly Missing[], { tree, failed, problems }: Situation): Promise<void> {
  const meant = await Promise.all(failed.map((role) => meantPlugin(role, tree)));
  for (const { unit, need, capability } of missing) {
    // A mistyped plugin that would provide it has been reported already.
    if (meant.some((plugin) => plugin?.provides?.some(({ id }) => id === capability.id))) continue;
    const origin = originAt(tree, ["plugins", unit.id]);
    const at = unit.file === undefined ? originAt(tree, ["plugins"]) : origin;
    const known = await providersOf(capability, valueOriginAt(tree, ["plugins", unit.id, "use"]).dir);
    const could = known.length > 0 ? `providers you could add: ${known.join(", ")}` : undefined;
    const maybe =
      failed.length > 0 ? `it may be what ${failed.join(", ")} would give, which could not be loaded` : undefined;
    problems.add({
      at,
      path: unit.file === undefined ? "plugins" : `plugins.${unit.id}`,
      message: `${unit.file === undefined ? `the ${unit.id}: ` : ""}requires.${need} needs ${capability.id}, and nothing in this distribution provides it`,
      hint:
        [could, maybe].filter((line) => line !== undefined).join("\n") || `add a plugin that provides ${capability.id}`,
    });
  }
}

async function meantPlugin(role: string, tree: MapNode): Promise<Plugin | undefined> {
  const use = textAt(tree, ["plugins", role, "use"]);
  if (use === undefined) return undefined;
  const { dir } = valueOriginAt(tree, ["plugins", role, "use"]);
  const near = knownPlugin(use, dir);
  return near === undefined ? undefined : importIfPossible(near, dir);
}
