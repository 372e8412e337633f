import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Capability, isPlugin, type Plugin } from "@heddle/plugin-sdk";
import { nearest } from "../manifest/nearest.ts";
import { moduleFolders, readPackage, resolveFrom } from "../manifest/resolve.ts";

/** Names of the installed packages that a manifest in `dir` could use: those that have the SDK as a peer. */
export function installedPlugins(dir: string): readonly string[] {
  const names = new Set<string>();
  for (const folder of moduleFolders(dir)) {
    for (const name of packageNames(folder)) {
      const home = join(folder, name);
      if (!existsSync(join(home, "package.json"))) continue;
      if (readPackage(home).peerDependencies?.["@heddle/plugin-sdk"] !== undefined) names.add(name);
    }
  }
  return [...names].toSorted();
}

/** The installed plugin whose name is nearest to a mistyped one. */
export function knownPlugin(name: string, dir: string): string | undefined {
  return nearest(name, installedPlugins(dir));
}

/** Installed plugins that give a capability. Imports them, so only to help where something is missing. */
export async function providersOf(wanted: Capability<any, any>, dir: string): Promise<readonly string[]> {
  const cards = await Promise.all(installedPlugins(dir).map((name) => importIfPossible(name, dir)));
  const giving = cards.filter((card) => card?.provides?.some((one) => one.id === wanted.id));
  return giving.flatMap((card) => (card === undefined ? [] : [card.name]));
}

/** The card of an installed plugin; undefined when it cannot be had, which is no problem of this distribution. */
export async function importIfPossible(name: string, dir: string): Promise<Plugin | undefined> {
  try {
    const { file } = resolveFrom(name, dir);
    const module = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as { readonly default?: unknown };
    return isPlugin(module.default) ? module.default : undefined;
  } catch {
    return undefined;
  }
}

function packageNames(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((name) => {
    if (name.startsWith(".")) return [];
    return name.startsWith("@") ? readdirSync(join(folder, name)).map((inner) => `${name}/${inner}`) : [name];
  });
}
