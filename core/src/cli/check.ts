import { asFault } from "@heddle/plugin-sdk";
import { notJoined } from "../cluster/not-joined.ts";
import type { LoadedDistribution, Plan } from "../host/distribution.ts";
import { type Command, exit, type Terminal } from "./command.ts";
import { counted, jsonText, loadFor, printProblems, problemsJson } from "./distribution.ts";

/** Steps 1 to 4; with `--connect` the back-ends are started and stopped as well. */
export const check: Command = async (line, terminal) => {
  const loaded = await loadFor(line.positionals[0], line, terminal);
  if (loaded.plan === undefined || !line.connect) {
    report(loaded, { json: line.json }, terminal);
    return loaded.plan === undefined ? exit.problems : exit.ok;
  }
  const outcome = await connect(loaded.plan, terminal);
  report(loaded, { json: line.json, outcome }, terminal);
  return outcome.error === undefined ? exit.ok : exit.startFailed;
};

interface Outcome {
  readonly connected: readonly string[];
  readonly error?: { readonly code: string; readonly message: string };
}

function report(loaded: LoadedDistribution, how: { json: boolean; outcome?: Outcome }, terminal: Terminal): void {
  const ok = loaded.plan !== undefined && how.outcome?.error === undefined;
  if (how.json) {
    terminal.out(jsonText({ ok, ...problemsJson(loaded), ...how.outcome }));
    return;
  }
  printProblems(loaded, terminal);
  if (loaded.plan === undefined) terminal.err(`${counted(loaded.problems.length, "problem")}, nothing was started`);
  else if (how.outcome?.error !== undefined) terminal.err(how.outcome.error.message);
  else terminal.out(`${loaded.plan.settings.name}: ok, ${counted(loaded.instances.length, "plugin")}`);
  if (ok && how.outcome !== undefined) terminal.out(`started and stopped: ${how.outcome.connected.join(", ")}`);
}

/** Starts and stops what does not depend on the node: the back-ends. */
async function connect(plan: Plan, terminal: Terminal): Promise<Outcome> {
  const [{ Host }, { backEnds }, { createLog }, { MetricRegistry }, { CollectedNotes }, { SystemWorld }] =
    await Promise.all([
      import("../host/host.ts"),
      import("../host/back-ends.ts"),
      import("../observe/log.ts"),
      import("../observe/metrics.ts"),
      import("../observe/ready-notes.ts"),
      import("../world/system-world.ts"),
    ]);
  const world = new SystemWorld();
  const write = (text: string) => terminal.err(text.trimEnd());
  const part = backEnds(plan);
  const host = new Host(part, {
    world,
    log: createLog({ level: "warn", format: "text", write, now: () => world.now() }),
    memory: { open: true, whenOpen: async () => {} },
    metrics: new MetricRegistry(),
    readyNotes: new CollectedNotes(),
    launch: { demo: false },
    cluster: () => Promise.reject(notJoined()),
    ready: () => false,
  });
  const connected = part.units.map(({ id }) => id);
  const { startTimeout, stopTimeout } = plan.settings.node;
  try {
    await host.start(AbortSignal.timeout(startTimeout));
    return { connected };
  } catch (error) {
    const { code, message } = asFault(error);
    return { connected: [], error: { code, message } };
  } finally {
    await host.stop({ deadlineMs: stopTimeout });
  }
}
