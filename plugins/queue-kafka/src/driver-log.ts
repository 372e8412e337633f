import type { Log, World } from "@heddle/plugin-sdk";
import type { LogEntry, logCreator } from "kafkajs";

/** The same text is said once in this time, with how often it was held back. */
const quietMs = 60_000;
/** Texts that are remembered. */
const texts = 100;
/** Particulars that say where; anything else the driver adds is left out: it may be long, or a payload. */
const told = ["broker", "groupId", "topic", "partition", "error"] as const;

/**
 * The driver's log as ours. It retries by itself what it calls an error, and so do we: an error is a warning here, a
 * warning is for debugging.
 */
export function driverLog(log: Log, world: World): logCreator {
  const said = new Map<string, { at: number; heldBack: number }>();
  return () => (entry: LogEntry) => {
    const { message } = entry.log;
    if (entry.label !== "ERROR") return log.debug(message, particulars(entry));
    const before = said.get(message);
    if (before !== undefined && world.elapsed() - before.at < quietMs) {
      before.heldBack += 1;
      return;
    }
    if (said.size >= texts) said.clear();
    said.set(message, { at: world.elapsed(), heldBack: 0 });
    log.warn("kafka driver", { says: message, ...particulars(entry), ...(before && { heldBack: before.heldBack }) });
  };
}

function particulars({ namespace, log }: LogEntry): Record<string, unknown> {
  const fields: Record<string, unknown> = { part: namespace };
  for (const name of told) {
    const value = log[name];
    if (typeof value === "string" || typeof value === "number") fields[name] = value;
  }
  return fields;
}
