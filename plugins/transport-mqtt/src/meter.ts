import type { Metric } from "@heddle/plugin-sdk";
import type { MqttMeter } from "./connections.ts";
import type { Counts } from "./wire.ts";

type Counter = Exclude<keyof Counts, "paused">;
const counters: readonly Counter[] = ["received", "sent", "acknowledged", "refused", "inbound", "outbound"];

/** Turns counts that only grow into steps of the counters. */
export function meterOf(metrics: Readonly<Record<Counter | "connections" | "paused" | "rejected", Metric>>): MqttMeter {
  const told: Record<Counter, number> = { received: 0, sent: 0, acknowledged: 0, refused: 0, inbound: 0, outbound: 0 };
  return {
    swept: (counts, connections) => {
      metrics.connections.record(connections);
      metrics.paused.record(counts.paused);
      for (const name of counters) {
        if (counts[name] > told[name]) metrics[name].record(counts[name] - told[name]);
        told[name] = counts[name];
      }
    },
    rejected: (reason) => metrics.rejected.record(1, { reason }),
  };
}
