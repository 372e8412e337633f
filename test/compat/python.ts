import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { onPath } from "../e2e/on-path.ts";

const cache = resolve(import.meta.dirname, "../../.cache/python");
/** Without the packages' index this fails after seconds, not minutes. */
const install = [
  "-m",
  "pip",
  "install",
  "--quiet",
  "--no-input",
  "--retries",
  "1",
  "--timeout",
  "20",
  "--only-binary",
  ":all:",
];
const installMs = 180_000;

/**
 * A Python with these packages, in a virtual environment that is made once and kept under `.cache`. Undefined, and why on
 * the console, when it cannot be had.
 */
export function pythonWith(name: string, packages: readonly string[]): string | undefined {
  const wanted = createHash("sha256").update(packages.join("\n")).digest("hex").slice(0, 12);
  const home = join(cache, `${name}-${wanted}`);
  const python = join(home, "bin", "python");
  if (existsSync(python)) return python;
  const system = onPath("python3");
  if (system === undefined) return undefined;
  // Made aside: two test files may want it at once, and a half-made one must not be found.
  const aside = `${home}.${process.pid}-${performance.now()}`;
  try {
    mkdirSync(cache, { recursive: true });
    execFileSync(system, ["-m", "venv", aside], { stdio: "pipe", timeout: installMs });
    execFileSync(join(aside, "bin", "python"), [...install, ...packages], { stdio: "pipe", timeout: installMs });
    if (!existsSync(python)) renameSync(aside, home);
    return python;
  } catch (error) {
    if (existsSync(python)) return python;
    const { stderr, message } = error as Error & { readonly stderr?: Buffer };
    console.warn(
      `${name} cannot be installed: ${String(stderr ?? message)
        .trim()
        .split("\n")
        .at(-1)}`,
    );
    return undefined;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** A program beside this file that drives an unmodified client. */
export const driverOf = (file: string): string => join(import.meta.dirname, "python", file);
