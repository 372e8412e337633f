import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type LoadedDistribution, loadDistribution } from "../host/distribution.ts";
import { type Problem, problemJson, problemText } from "../manifest/problems.ts";
import { type CommandLine, type Terminal, UsageError } from "./command.ts";

/** The manifest that a command line means: the named one, or `manifest.yaml` where it was typed. */
export function manifestPath(named: string | undefined, cwd: string): string {
  if (named !== undefined) return named;
  if (existsSync(resolve(cwd, "manifest.yaml"))) return "manifest.yaml";
  throw new UsageError("name a manifest: there is no manifest.yaml in this folder");
}

export async function loadFor(
  named: string | undefined,
  line: CommandLine,
  terminal: Terminal,
): Promise<LoadedDistribution> {
  return loadDistribution({
    manifest: manifestPath(named, terminal.cwd),
    set: line.set,
    env: terminal.env,
    cwd: terminal.cwd,
    builtIns: await terminal.builtIns(),
  });
}

/** Prints problems and warnings for people, on the error stream. */
export function printProblems(
  loaded: Pick<LoadedDistribution, "problems" | "warnings">,
  terminal: Pick<Terminal, "cwd" | "err">,
): void {
  const show = (problem: Problem) => terminal.err(problemText(problem, terminal.cwd));
  loaded.problems.forEach(show);
  for (const warning of loaded.warnings) show({ ...warning, message: `warning: ${warning.message}` });
}

export function problemsJson(loaded: Pick<LoadedDistribution, "problems" | "warnings">): Record<string, unknown> {
  return { problems: loaded.problems.map(problemJson), warnings: loaded.warnings.map(problemJson) };
}

export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
export const jsonText = (value: unknown): string => JSON.stringify(value, null, 2);
