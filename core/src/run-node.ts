import { availableParallelism } from "node:os";
import { asFault, Fault } from "@heddle/plugin-sdk";
import { exit } from "./cli/command.ts";
import { jsonText, printProblems, problemsJson } from "./cli/distribution.ts";
import type { Plan } from "./host/distribution.ts";
import { type ReadNode, type RunningNode, readNode, stopAsked } from "./node.ts";
import { startParent } from "./workers/parent.ts";
import { checkWorkers } from "./workers/plan.ts";
import { listenToParent, startWorker, workerOf } from "./workers/worker.ts";
import { endAfter } from "./world/system-world.ts";

export interface RunInput {
  readonly manifest: string;
  readonly set: readonly string[];
  readonly demo: boolean;
  readonly json: boolean;
}

/** Beyond the time that stopping may take: for plugins that are left behind. */
const endGraceMs = 10_000;

const terminal = { cwd: process.cwd(), err: (line: string) => void process.stderr.write(`${line}\n`) };

/**
 * `heddle run`: until a signal says stop. Answers the exit code. With several workers the same command line runs in the
 * parent, which starts them, and in each of them.
 */
export async function runNode(input: RunInput): Promise<number> {
  const place = workerOf(process.env);
  if (place !== undefined) {
    const node = await readNode({ ...input, logName: `worker-${place.index}` });
    const { plan } = node.loaded;
    const parent = listenToParent();
    try {
      if (plan === undefined) return problems(node, input);
      return await untilStopped((signal) => startWorker(place, { node, plan, signal }), {
        stopping: parent.stopping,
        endMs: plan.settings.node.stopTimeout + endGraceMs,
        announce: ({ notes }) => parent.ready(notes.notes),
      });
    } finally {
      parent.leave();
    }
  }
  const node = await readNode(input);
  const { plan } = node.loaded;
  if (plan === undefined) return problems(node, input);
  const workers = workersOf(plan);
  if (workers > 1) {
    try {
      checkWorkers(plan);
    } catch (error) {
      terminal.err(asFault(error).message);
      return exit.problems;
    }
  }
  printProblems({ problems: [], warnings: node.loaded.warnings }, terminal);
  const start = (signal: AbortSignal) =>
    workers === 1 ? node.start(plan, signal) : startParent(plan, { workers, demo: input.demo, signal });
  return untilStopped(start, {
    stopping: stoppedBy("SIGINT", "SIGTERM"),
    // Several workers stop first, then what they share.
    endMs: plan.settings.node.stopTimeout * (workers === 1 ? 1 : 2) + endGraceMs,
    announce: (running) => announce(running, input.json),
  });
}

function workersOf({ settings }: Plan): number {
  const { workers } = settings.node;
  return workers === "auto" ? availableParallelism() : workers;
}

function problems({ loaded }: ReadNode, { json }: RunInput): number {
  if (json) process.stdout.write(`${jsonText(problemsJson(loaded))}\n`);
  else printProblems(loaded, terminal);
  return exit.problems;
}

function stoppedBy(...names: readonly NodeJS.Signals[]): AbortSignal {
  const stopping = new AbortController();
  const end = (name: string) => stopping.abort(new Fault("unavailable", "node.signal", `stopped by ${name}`));
  for (const name of names) process.once(name, end);
  return stopping.signal;
}

async function untilStopped(
  start: (signal: AbortSignal) => Promise<RunningNode>,
  {
    stopping,
    announce,
    endMs,
  }: { readonly stopping: AbortSignal; readonly endMs: number; announce(node: RunningNode): void },
): Promise<number> {
  let node: RunningNode;
  try {
    node = await start(stopping);
  } catch (error) {
    if (stopping.aborted) return exit.ok;
    terminal.err((error as Error).message);
    return exit.startFailed;
  }
  announce(node);
  await stopAsked(stopping);
  endAfter(endMs);
  await node.stop();
  return exit.ok;
}

function announce({ notes }: RunningNode, json: boolean): void {
  const startedInMs = Math.round(process.uptime() * 1_000);
  if (json) process.stdout.write(`${JSON.stringify({ ready: true, startedInMs, notes: notes.notes })}\n`);
  else process.stdout.write(`\nHeddle is ready after ${(startedInMs / 1_000).toFixed(1)} s\n\n${notes.text()}\n\n`);
}
