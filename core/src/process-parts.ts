import type { Log, World } from "@heddle/plugin-sdk";
import type { ManifestSettings } from "./manifest/schema.ts";
import { createLog } from "./observe/log.ts";
import { garbageCollector, ResidentMemoryGate } from "./observe/memory-gate.ts";
import { MetricRegistry } from "./observe/metrics.ts";
import { collectProcessMetrics } from "./observe/process-metrics.ts";
import { CollectedNotes } from "./observe/ready-notes.ts";
import { SystemWorld } from "./world/system-world.ts";

/** What one process gives to its host, whichever part of a plan it runs. */
export interface ProcessParts {
  readonly world: World;
  readonly log: Log;
  readonly metrics: MetricRegistry;
  readonly memory: ResidentMemoryGate;
  readonly readyNotes: CollectedNotes;
}

export interface LogTarget {
  /** Gets the log, line by line with line ends. */
  readonly writeLog?: ((line: string) => void) | undefined;
  /** Goes before the name in every line: which process speaks. */
  readonly logName?: string | undefined;
}

export function processParts(settings: ManifestSettings, target: LogTarget): ProcessParts {
  const world = new SystemWorld();
  const log = logFor(settings, target, world);
  const metrics = new MetricRegistry();
  collectProcessMetrics(metrics);
  return {
    world,
    log,
    metrics,
    memory: memoryGate(settings, { world, log, metrics }),
    readyNotes: new CollectedNotes(),
  };
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

function logFor({ log: { level, format } }: ManifestSettings, { writeLog, logName }: LogTarget, world: World): Log {
  const terminal = process.stderr.isTTY === true;
  return createLog(
    {
      level,
      format: format === "auto" ? (terminal ? "text" : "json") : format,
      write: writeLog ?? ((line) => void process.stderr.write(line)),
      now: () => world.now(),
      colors: terminal,
    },
    logName,
  );
}
