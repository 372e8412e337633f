import { ActorKinds, Fault, type Log, type World } from "@heddle/plugin-sdk";
import { exit } from "./cli/command.ts";
import { jsonText, printProblems, problemsJson } from "./cli/distribution.ts";
import { notJoined } from "./cluster/not-joined.ts";
import { type BuiltIn, type LoadedDistribution, loadDistribution, type Plan } from "./host/distribution.ts";
import { Host } from "./host/host.ts";
import type { ManifestSettings } from "./manifest/schema.ts";
import { type NodeSlot, nodeCard } from "./node-card.ts";
import { collectKernelMetrics } from "./observe/kernel-metrics.ts";
import { createLog } from "./observe/log.ts";
import { garbageCollector, ResidentMemoryGate } from "./observe/memory-gate.ts";
import { MetricRegistry } from "./observe/metrics.ts";
import { collectProcessMetrics } from "./observe/process-metrics.ts";
import { CollectedNotes } from "./observe/ready-notes.ts";
import { SystemWorld } from "./world/system-world.ts";

export interface NodeInput {
  /** Path of a manifest, or its content. */
  readonly manifest: string | object;
  readonly set?: readonly string[];
  readonly demo?: boolean;
  /** Gets the log, line by line with line ends. */
  readonly writeLog?: (line: string) => void;
}

/** The vertices that a node adds to every distribution. */
export function nodeBuiltIns(slot: NodeSlot = {}): readonly BuiltIn[] {
  return [{ id: "node", plugin: nodeCard(slot) }];
}

/** One running node. */
export interface RunningNode {
  readonly notes: CollectedNotes;
  /** Drains, passivates and stops everything. Safe twice. */
  stop(): Promise<void>;
}

/** Reads and checks a distribution; `start` is there only without problems, and nothing has been started before it. */
export async function createNode(
  input: NodeInput,
): Promise<{ loaded: LoadedDistribution; start?(signal: AbortSignal): Promise<RunningNode> }> {
  const slot: NodeSlot = {};
  const loaded = await loadDistribution({
    manifest: input.manifest,
    set: input.set ?? [],
    builtIns: nodeBuiltIns(slot),
  });
  const { plan } = loaded;
  if (plan === undefined) return { loaded };
  slot.settings = plan.settings;
  return { loaded, start: (signal) => startNode(plan, slot, { input, signal }) };
}

async function startNode(
  plan: Plan,
  slot: NodeSlot,
  { input, signal }: { input: NodeInput; signal: AbortSignal },
): Promise<RunningNode> {
  const world = new SystemWorld();
  const log = logFor(plan.settings, input.writeLog);
  const metrics = new MetricRegistry();
  collectProcessMetrics(metrics);
  const memory = memoryGate(plan.settings, { world, log, metrics });
  const readyNotes = new CollectedNotes();
  const host = new Host(plan, {
    world,
    log,
    memory,
    metrics,
    readyNotes,
    launch: { demo: input.demo ?? false },
    cluster: (call) => slot.kernel?.status(call) ?? Promise.reject(notJoined()),
    ready: () => slot.kernel?.ownership.settled ?? false,
  });
  const stop = () => {
    memory[Symbol.dispose]();
    return host.stop({ deadlineMs: plan.settings.node.stopTimeout });
  };
  await host.start(signal);
  try {
    const { kernel } = slot;
    if (kernel === undefined)
      throw new Fault("internal", "node.kernel", "no plugin of this distribution uses the node");
    collectKernelMetrics(metrics, kernel);
    await kernel.serve(host.collect(ActorKinds).flat(), signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { notes: readyNotes, stop };
}

function memoryGate(
  { node }: ManifestSettings,
  { world, log, metrics }: { world: World; log: Log; metrics: MetricRegistry },
): ResidentMemoryGate {
  const gate = new ResidentMemoryGate({
    world,
    log: log.child("memory"),
    limitBytes: node.memory,
    used: usedBytes,
    collect: garbageCollector(),
  });
  metrics.gauge("heddle_memory_limit_bytes", "Resident memory that the node may take.", () => node.memory);
  metrics.counter("heddle_memory_closings_total", "Times that new work had to wait for memory.", () => gate.closings);
  metrics.gauge("heddle_memory_waiting_calls", "Calls that wait for memory.", () => gate.waiting);
  return gate;
}

/** Resident memory without what the heap holds free: that is room. */
function usedBytes(): number {
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return rss - heapTotal + heapUsed;
}

function logFor({ log: { level, format } }: ManifestSettings, write?: (line: string) => void) {
  const terminal = process.stderr.isTTY === true;
  return createLog({
    level,
    format: format === "auto" ? (terminal ? "text" : "json") : format,
    write: write ?? ((line) => void process.stderr.write(line)),
    now: () => Date.now(),
    colors: terminal,
  });
}

/** `heddle run`: until a signal says stop. Answers the exit code. */
export async function runNode(input: {
  readonly manifest: string;
  readonly set: readonly string[];
  readonly demo: boolean;
  readonly json: boolean;
}): Promise<number> {
  const terminal = { cwd: process.cwd(), err: (line: string) => void process.stderr.write(`${line}\n`) };
  const { loaded, start } = await createNode(input);
  if (start === undefined) {
    if (input.json) process.stdout.write(`${jsonText(problemsJson(loaded))}\n`);
    else printProblems(loaded, terminal);
    return exit.problems;
  }
  printProblems({ problems: [], warnings: loaded.warnings }, terminal);
  const stopping = new AbortController();
  const end = (name: string) => stopping.abort(new Fault("unavailable", "node.signal", `stopped by ${name}`));
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, end);
  let node: RunningNode;
  try {
    node = await start(stopping.signal);
  } catch (error) {
    if (stopping.signal.aborted) return exit.ok;
    terminal.err((error as Error).message);
    return exit.startFailed;
  }
  announce(node, input.json);
  // The sockets keep the process alive; without any, this does.
  const alive = setInterval(() => {}, 60_000);
  if (!stopping.signal.aborted)
    await new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve()));
  clearInterval(alive);
  await node.stop();
  return exit.ok;
}

function announce({ notes }: RunningNode, json: boolean): void {
  const startedInMs = Math.round(process.uptime() * 1_000);
  if (json) process.stdout.write(`${JSON.stringify({ ready: true, startedInMs, notes: notes.notes })}\n`);
  else process.stdout.write(`\nHeddle is ready after ${(startedInMs / 1_000).toFixed(1)} s\n\n${notes.text()}\n\n`);
}
