import cluster from "node:cluster";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log, ReadyNote, World } from "@heddle/plugin-sdk";
import { notJoined } from "../cluster/not-joined.ts";
import type { Plan } from "../host/distribution.ts";
import { Host } from "../host/host.ts";
import type { RunningNode } from "../node.ts";
import { CollectedNotes } from "../observe/ready-notes.ts";
import { type ProcessParts, processParts } from "../process-parts.ts";
import { BackEndServer } from "./back-end-server.ts";
import { parentPlan, sharedUnits } from "./plan.ts";
import { backEndSocket } from "./worker.ts";
import { WorkerProcess } from "./worker-process.ts";

/** The system's limit for the path of a Unix socket is a little above. */
const longestPath = 100;
/** A worker that has been told to stop has its own deadline; beyond it and this it is killed. */
const graceMs = 5_000;

export interface ParentInput {
  readonly workers: number;
  readonly demo: boolean;
  readonly signal: AbortSignal;
}

/** The back-ends of one machine in this process, and so many workers that run nodes on them. */
export async function startParent(plan: Plan, input: ParentInput): Promise<RunningNode> {
  const parts = processParts(plan.settings, { logName: "parent" });
  const folder = await socketFolder();
  const crew = new Crew(plan, parts, { ...input, folder });
  const backEnds = new Host(parentPlan(plan), {
    ...parts,
    launch: { demo: input.demo },
    cluster: () => Promise.reject(notJoined()),
    ready: () => true,
  });
  let server: BackEndServer | undefined;
  let stopped: Promise<void> | undefined;
  const stopAll = async () => {
    await crew.stop();
    await server?.[Symbol.asyncDispose]();
    parts.memory[Symbol.dispose]();
    await backEnds.stop({ deadlineMs: plan.settings.node.stopTimeout });
    await rm(folder, { recursive: true, force: true });
  };
  const stop = () => {
    stopped ??= stopAll();
    return stopped;
  };
  try {
    await backEnds.start(input.signal);
    if (sharedUnits(plan).length > 0) {
      server = await serve(plan, backEnds, { parts, folder, crew });
    }
    const notes = new CollectedNotes();
    for (const note of await crew.start(input.signal)) notes.add(note);
    return { notes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function serve(
  plan: Plan,
  backEnds: Host,
  { parts: { world, log }, folder, crew }: { parts: ProcessParts; folder: string; crew: Crew },
): Promise<BackEndServer> {
  const offers = sharedUnits(plan).flatMap(({ id, plugin }) =>
    (plugin.provides ?? []).map((capability) => {
      return { unit: id, capability, value: backEnds.provided(id, capability) };
    }),
  );
  const server = new BackEndServer({
    world,
    log,
    offers,
    health: (unit) => backEnds.healthOf(unit),
    silent: (index) => crew.kill(index, "it was silent for longer than its lease"),
  });
  await server.listen(backEndSocket(folder));
  return server;
}

/** A folder that only this user may enter. */
async function socketFolder(): Promise<string> {
  const place = join(tmpdir(), "heddle-").length > longestPath - 30 ? "/tmp" : tmpdir();
  return mkdtemp(join(place, "heddle-"));
}

/** The workers: started one before the others, started again when they die, stopped together. */
class Crew {
  readonly #workers: readonly WorkerProcess[];
  readonly #world: World;
  readonly #log: Log;
  readonly #stopMs: number;

  constructor(plan: Plan, { world, log }: ProcessParts, { workers, folder }: ParentInput & { folder: string }) {
    this.#world = world;
    this.#log = log;
    this.#stopMs = plan.settings.node.stopTimeout + graceMs;
    const backEnds = sharedUnits(plan).length > 0;
    this.#workers = Array.from(
      { length: workers },
      (_, i) => new WorkerProcess({ index: i + 1, folder, backEnds }, { world, log }),
    );
  }

  /** The first alone: what is made once for all, such as sample data, is there when the others look for it. */
  async start(signal: AbortSignal): Promise<readonly ReadyNote[]> {
    cluster.setupPrimary({});
    const [first, ...others] = this.#workers;
    const notes = (await first?.start(signal)) ?? [];
    await Promise.all(others.map((worker) => worker.start(signal)));
    this.#log.info("workers are ready", { workers: this.#workers.length });
    return notes;
  }

  kill(index: number, why: string): void {
    this.#workers.find((one) => one.index === index)?.kill(why);
  }

  async stop(): Promise<void> {
    using _deadline = this.#world.timer(this.#stopMs, () => {
      for (const worker of this.#workers) worker.kill(`it did not stop within ${this.#stopMs} ms`);
    });
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }
}
