import cluster from "node:cluster";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Fault, type ReadyNote } from "@heddle/plugin-sdk";
import type { Plan } from "../host/distribution.ts";
import type { ReadNode, RunningNode } from "../node.ts";
import { SystemWorld } from "../world/system-world.ts";
import { BackEnds } from "./back-end-server.ts";
import { Caller } from "./caller.ts";
import { workerPlan } from "./plan.ts";
import { SocketPeers } from "./socket-peers.ts";

/** Where a worker finds its place: its index from 1, and the folder of the machine's sockets. */
export interface WorkerEnv {
  readonly index: number;
  readonly folder: string;
  /** Whether the parent runs back-ends. */
  readonly backEnds: boolean;
}

export const workerVariable = "HEDDLE_WORKER";
export const backEndSocket = (folder: string): string => join(folder, "back-ends");

/** What the parent and a worker say to each other besides calls. */
export type FromWorker =
  | { readonly heddle: "listening" }
  | { readonly heddle: "ready"; readonly notes: readonly ReadyNote[] };
export type FromParent = { readonly heddle: "stop" };

/** Exit code of a worker that lost its parent's back-ends. */
const lostExit = 75;

export function workerOf(env: Readonly<Record<string, string | undefined>>): WorkerEnv | undefined {
  const text = env[workerVariable];
  return text === undefined || !cluster.isWorker ? undefined : (JSON.parse(text) as WorkerEnv);
}

export interface ParentLink {
  /** Aborts when the parent, or a signal to this worker alone, says stop. */
  readonly stopping: AbortSignal;
  ready(notes: readonly ReadyNote[]): void;
  /** Nothing more is said; the process may end. */
  leave(): void;
}

export function listenToParent(): ParentLink {
  const stopping = new AbortController();
  const stop = (by: string) => stopping.abort(new Fault("unavailable", "node.signal", `stopped by ${by}`));
  // A terminal sends it to the parent as well, which stops its workers in order.
  process.on("SIGINT", () => {});
  process.once("SIGTERM", () => stop("SIGTERM"));
  // What cannot be said to a parent that is gone; that it is gone is heard as the end of the channel.
  cluster.worker?.on("error", () => {});
  process.on("message", (message: FromParent) => {
    if (message?.heddle === "stop") stop("its parent");
  });
  const say = (message: FromWorker) => void process.send?.(message);
  say({ heddle: "listening" });
  return {
    stopping: stopping.signal,
    ready: (notes) => say({ heddle: "ready", notes }),
    leave: () => void cluster.worker?.disconnect(),
  };
}

/** The node of one worker, on the back-ends of the parent. Without its parent a worker ends at once. */
export async function startWorker(
  { index, folder, backEnds }: WorkerEnv,
  { node, plan, signal }: { readonly node: ReadNode; readonly plan: Plan; readonly signal: AbortSignal },
): Promise<RunningNode> {
  const world = new SystemWorld();
  const parent = process.ppid;
  // The platform ends a worker whose parent is gone; what the parent can no longer tidy up is tidied here.
  process.once("exit", () => {
    if (process.ppid !== parent) rmSync(folder, { recursive: true, force: true });
  });
  const caller = backEnds ? await Caller.connect(backEndSocket(folder), world) : undefined;
  let stopped = false;
  caller?.closed.addEventListener("abort", () => {
    if (stopped) return;
    process.stderr.write(`worker ${index}: ${(caller.closed.reason as Error).message}; it ends\n`);
    process.exit(lostExit);
  });
  const mine = workerPlan(plan, {
    index,
    backEnds: caller === undefined ? undefined : await BackEnds.meet(caller, { worker: index, world }, { signal }),
    peers: (log) => new SocketPeers(join(folder, `peer-${index}-${process.pid}`), { world, log }),
  });
  const close = () => {
    stopped = true;
    caller?.close();
  };
  try {
    const running = await node.start(mine, signal);
    return { notes: running.notes, stop: () => running.stop().finally(close) };
  } catch (error) {
    close();
    throw error;
  }
}
