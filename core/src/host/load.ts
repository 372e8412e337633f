import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { isFault, isPlugin, type Plugin } from "@heddle/plugin-sdk";
import type { Problems } from "../manifest/problems.ts";
import { isPath, readPackage, resolveFrom } from "../manifest/resolve.ts";
import type { Origin } from "../manifest/tree.ts";
import { knownPlugin } from "./known-plugins.ts";
import { satisfies } from "./semver-range.ts";

/** What `use` of a role says, and where. */
export interface UseLine {
  readonly role: string;
  readonly use: string;
  readonly at: Origin;
}

export interface LoadedPlugin {
  readonly plugin: Plugin;
  /** Real path of the module. */
  readonly file: string;
  readonly version: string | undefined;
}

const importHint = 'a plugin is an ES module whose imports are installed: "type": "module" in its package.json';
const ownDir = import.meta.dirname;
let knownSdkVersion: string | undefined;

/** Version of this kernel, from the package.json above it. */
export function kernelVersion(): string {
  for (let dir = ownDir; dir !== dirname(dir); dir = dirname(dir)) {
    if (existsSync(join(dir, "package.json"))) return readPackage(dir).version ?? "0.0.0";
  }
  return "0.0.0";
}

/** Version of the plugin SDK that this kernel was made with. */
export function sdkVersion(): string {
  knownSdkVersion ??= resolveFrom("@heddle/plugin-sdk", ownDir).package?.version ?? "0.0.0";
  return knownSdkVersion;
}

/** Imports the plugin and checks its shape, its name and the SDK it wants; problems go to `problems`. */
export async function loadPlugin(line: UseLine, problems: Problems): Promise<LoadedPlugin | undefined> {
  const { use, at } = line;
  const path = `plugins.${line.role}.use`;
  let resolved: ReturnType<typeof resolveFrom>;
  try {
    resolved = resolveFrom(use, at.dir);
  } catch (error) {
    if (!isFault(error)) throw error;
    problems.add({ at, path, message: error.message, hint: await wayToPlugin(use, at.dir) });
    return undefined;
  }
  const plugin = await importCard(resolved.file, { at, path, problems });
  if (plugin === undefined) return undefined;
  if (!satisfies(sdkVersion(), plugin.sdk)) {
    const message = `${plugin.name} wants plugin-sdk ${plugin.sdk}, this kernel has ${sdkVersion()}`;
    problems.add({ at, path, message, hint: "install a version of the plugin that is made for this SDK" });
    return undefined;
  }
  const described = isPath(use) ? undefined : resolved.package;
  if (described?.name !== undefined && described.name !== plugin.name) {
    problems.add({
      at,
      path,
      message: `package ${described.name} holds a plugin that calls itself ${plugin.name}`,
      hint: "its card must carry the name of its package",
    });
  }
  if (described?.version !== undefined && plugin.version !== undefined && described.version !== plugin.version) {
    const message = `${plugin.name} says version ${plugin.version}, its package.json says ${described.version}`;
    problems.add({ at, path, message, hint: "leave version out of the card: it is taken from package.json" });
  }
  return { plugin, file: resolved.file, version: plugin.version ?? described?.version };
}

async function importCard(
  file: string,
  field: { at: Origin; path: string; problems: Problems },
): Promise<Plugin | undefined> {
  let module: { readonly default?: unknown };
  try {
    module = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as { readonly default?: unknown };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    field.problems.add({
      at: field.at,
      path: field.path,
      message: `${file} cannot be imported: ${why}`,
      hint: importHint,
    });
    return undefined;
  }
  if (isPlugin(module.default)) return module.default;
  const message = `${file} is no plugin: its default export was not made by definePlugin`;
  field.problems.add({ at: field.at, path: field.path, message, hint: "export default definePlugin({ … })" });
  return undefined;
}

async function wayToPlugin(use: string, dir: string): Promise<string> {
  if (isPath(use)) return "the path is relative to the manifest that says it";
  const near = knownPlugin(use, dir);
  return near === undefined ? `npm install ${use}, beside the manifest that uses it` : `did you mean "${near}"?`;
}
