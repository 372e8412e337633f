import { relative } from "node:path";
import type { Origin } from "./tree.ts";

export interface Problem {
  /** Absent when the manifest as a whole is meant and no file is to blame. */
  readonly at?: Origin | undefined;
  /** Dotted path of the field, empty for the whole manifest. */
  readonly path: string;
  readonly message: string;
  /** A way out. */
  readonly hint?: string | undefined;
}

/** Collects everything that is wrong, so that one run tells all of it. */
export class Problems {
  readonly #errors: Problem[] = [];
  readonly #warnings: Problem[] = [];

  add(problem: Problem): void {
    this.#errors.push(problem);
  }

  warn(problem: Problem): void {
    this.#warnings.push(problem);
  }

  get errors(): readonly Problem[] {
    return this.#errors.toSorted(byPlace);
  }

  get warnings(): readonly Problem[] {
    return this.#warnings.toSorted(byPlace);
  }
}

function byPlace(a: Problem, b: Problem): number {
  const byText = (x: string, y: string) => (x < y ? -1 : x > y ? 1 : 0);
  return (
    byText(a.at?.source ?? "", b.at?.source ?? "") ||
    (a.at?.line ?? 0) - (b.at?.line ?? 0) ||
    (a.at?.column ?? 0) - (b.at?.column ?? 0) ||
    byText(a.path, b.path) ||
    byText(a.message, b.message)
  );
}

/** `file:line:column`, with the file as seen from `cwd`. */
export function placeText(at: Origin | undefined, cwd: string): string {
  if (at === undefined) return "manifest";
  if (at.line === undefined) return at.source;
  const short = relative(cwd, at.source);
  const file = short.startsWith("..") ? at.source : short;
  return `${file}:${at.line}:${at.column}`;
}

/** Place and path on the first line, message and way out indented below. */
export function problemText(problem: Problem, cwd: string): string {
  const head = problem.path === "" ? placeText(problem.at, cwd) : `${placeText(problem.at, cwd)}  ${problem.path}`;
  const body = [problem.message, ...(problem.hint === undefined ? [] : [problem.hint])];
  return [head, ...body.flatMap((text) => text.split("\n")).map((line) => `  ${line}`)].join("\n");
}

/** The same for machines. */
export function problemJson(problem: Problem): Record<string, unknown> {
  return {
    file: problem.at?.source,
    line: problem.at?.line,
    column: problem.at?.column,
    path: problem.path,
    message: problem.message,
    hint: problem.hint,
  };
}
