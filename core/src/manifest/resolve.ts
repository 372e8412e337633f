import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Fault } from "@heddle/plugin-sdk";

export interface PackageJson {
  readonly name?: string;
  readonly version?: string;
  readonly main?: string;
  readonly exports?: unknown;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export interface Resolved {
  /** Real path of the file. */
  readonly file: string;
  /** The package it belongs to, when the specifier named a package. */
  readonly package?: PackageJson;
}

/**
 * Node's resolution of a specifier as an import written in `dir` would see it. Our own because Node 20 resolves only
 * from the calling module, and `createRequire` knows neither the `import` condition nor those of `--conditions`.
 * Faults: `manifest.not-found`, `manifest.not-exported`.
 */
export function resolveFrom(specifier: string, dir: string): Resolved {
  if (isPath(specifier)) {
    const path = specifier.startsWith("file:") ? fileURLToPath(specifier) : resolve(dir, specifier);
    return { file: realFile(path, specifier) };
  }
  const name = /^(@[^/]+\/[^/]+|[^@./][^/]*)/.exec(specifier)?.[0];
  if (name === undefined) throw new Fault("invalid", "manifest.not-found", `"${specifier}" is not a package name`);
  const folder = packageFolder(name, dir);
  if (folder === undefined) {
    throw new Fault("missing", "manifest.not-found", `package ${name} is not installed where ${dir} could see it`);
  }
  const description = readPackage(folder);
  const subpath = `.${specifier.slice(name.length)}`;
  const target = description.exports === undefined ? plainTarget(description, subpath) : exported(description, subpath);
  if (target === undefined) {
    throw new Fault("missing", "manifest.not-exported", `package ${name} does not export "${subpath}"`);
  }
  return { file: realFile(join(folder, target), specifier), package: description };
}

/** Relative, absolute and `file:` specifiers name a file; everything else a package. */
export function isPath(specifier: string): boolean {
  return /^(\.{1,2}\/|file:)/.test(specifier) || isAbsolute(specifier);
}

/** Every `node_modules` folder that a file in `dir` sees, nearest first; also from where a link really lies. */
export function moduleFolders(dir: string): readonly string[] {
  const folders = new Set<string>();
  for (const start of new Set([dir, existsSync(dir) ? realpathSync(dir) : dir])) {
    for (let at = start; ; at = dirname(at)) {
      const folder = join(at, "node_modules");
      if (existsSync(folder)) folders.add(folder);
      if (at === dirname(at)) break;
    }
  }
  return [...folders];
}

export function readPackage(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as PackageJson;
}

function packageFolder(name: string, dir: string): string | undefined {
  return moduleFolders(dir)
    .map((folder) => join(folder, name))
    .find((folder) => existsSync(join(folder, "package.json")));
}

function realFile(path: string, specifier: string): string {
  if (!existsSync(path)) {
    throw new Fault("missing", "manifest.not-found", `"${specifier}" names ${path}, which does not exist`);
  }
  return realpathSync(path);
}

function plainTarget(description: PackageJson, subpath: string): string {
  return subpath === "." ? (description.main ?? "index.js") : subpath;
}

function exported(description: PackageJson, subpath: string): string | undefined {
  const { exports } = description;
  const bySubpath = isRecord(exports) && Object.keys(exports).some((key) => key.startsWith("."));
  if (!bySubpath) return subpath === "." ? pick(exports) : undefined;
  const table = exports as Record<string, unknown>;
  if (subpath in table) return pick(table[subpath]);
  for (const [key, target] of Object.entries(table)) {
    const [before, after] = key.split("*");
    if (before === undefined || after === undefined) continue;
    if (!subpath.startsWith(before) || !subpath.endsWith(after) || subpath.length <= before.length) continue;
    return pick(target)?.replaceAll("*", subpath.slice(before.length, subpath.length - after.length));
  }
  return undefined;
}

function pick(target: unknown): string | undefined {
  if (typeof target === "string") return target;
  if (Array.isArray(target)) return target.map(pick).find((found) => found !== undefined);
  if (!isRecord(target)) return undefined;
  for (const [condition, inner] of Object.entries(target)) {
    if (!conditions.has(condition)) continue;
    const found = pick(inner);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A kernel that runs from its sources takes plugins from theirs: both then share one copy of the SDK. */
function processConditions(): ReadonlySet<string> {
  const args = [...process.execArgv, ...(process.env["NODE_OPTIONS"] ?? "").split(/\s+/)];
  const own = args.flatMap((arg, index) => {
    if (arg === "-C" || arg === "--conditions") return args[index + 1] ?? [];
    return /^(?:-C=?|--conditions=)(.+)$/.exec(arg)?.[1] ?? [];
  });
  const source = import.meta.url.endsWith(".ts") ? ["source"] : [];
  return new Set([...own, ...source, "node", "import", "module-sync", "default"]);
}
const conditions = processConditions();
