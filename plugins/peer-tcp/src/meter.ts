import type { Metric } from "@heddle/plugin-sdk";
import { type Counts, noCounts } from "./wire.ts";

export interface Levels {
  readonly inbound: number;
  readonly outbound: number;
  readonly queued: number;
  readonly waiting: number;
}

export interface PeerMeter {
  record(counts: Counts, levels: Levels): void;
  refused(why: string): void;
}

type Name = keyof Counts | "connections" | "queued" | "waiting" | "refused";

/** Turns counts that only grow into steps of the counters. */
export function meterOf(metrics: Readonly<Record<Name, Metric>>): PeerMeter {
  const told = noCounts();
  return {
    record: (counts, { inbound, outbound, queued, waiting }) => {
      metrics.connections.record(inbound, { direction: "in" });
      metrics.connections.record(outbound, { direction: "out" });
      metrics.queued.record(queued);
      metrics.waiting.record(waiting);
      for (const name of Object.keys(told) as (keyof Counts)[]) {
        if (counts[name] > told[name]) metrics[name].record(counts[name] - told[name]);
        told[name] = counts[name];
      }
    },
    refused: (reason) => metrics.refused.record(1, { reason }),
  };
}
