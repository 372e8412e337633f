import { ActorKinds, Fault } from "@heddle/plugin-sdk";
import { notJoined } from "./cluster/not-joined.ts";
import { type BuiltIn, type LoadedDistribution, loadDistribution, type Plan } from "./host/distribution.ts";
import { Host } from "./host/host.ts";
import { type NodeSlot, nodeCard } from "./node-card.ts";
import { collectKernelMetrics } from "./observe/kernel-metrics.ts";
import type { CollectedNotes } from "./observe/ready-notes.ts";
import { type LogTarget, processParts } from "./process-parts.ts";

export interface NodeInput extends LogTarget {
  /** Path of a manifest, or its content. */
  readonly manifest: string | object;
  readonly set?: readonly string[];
  readonly demo?: boolean;
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

/** A distribution that was read; with a plan, what of it this process shall run can be started, once. */
export interface ReadNode {
  readonly loaded: LoadedDistribution;
  start(plan: Plan, signal: AbortSignal): Promise<RunningNode>;
}

/** Reads and checks a distribution; nothing is started. */
export async function readNode(input: NodeInput): Promise<ReadNode> {
  const slot: NodeSlot = {};
  const loaded = await loadDistribution({
    manifest: input.manifest,
    set: input.set ?? [],
    builtIns: nodeBuiltIns(slot),
  });
  return { loaded, start: (plan, signal) => startNode(plan, slot, { input, signal }) };
}

/**
 * One node in this process, whatever `node.workers` says; `start` is there only without problems, and nothing has been
 * started before it.
 */
export async function createNode(
  input: NodeInput,
): Promise<{ loaded: LoadedDistribution; start?(signal: AbortSignal): Promise<RunningNode> }> {
  const { loaded, start } = await readNode(input);
  const { plan } = loaded;
  return plan === undefined ? { loaded } : { loaded, start: (signal) => start(plan, signal) };
}

async function startNode(
  plan: Plan,
  slot: NodeSlot,
  { input, signal }: { input: NodeInput; signal: AbortSignal },
): Promise<RunningNode> {
  slot.settings = plan.settings;
  const parts = processParts(plan.settings, input);
  const { metrics, memory, readyNotes } = parts;
  const host = new Host(plan, {
    ...parts,
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

/** Resolves when the signal aborts, and keeps the process alive until then: the sockets do, and without any, this. */
export async function stopAsked(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const alive = setInterval(() => {}, 60_000);
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  clearInterval(alive);
}
