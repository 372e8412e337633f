import { Fault, type FaultSpecs } from "@heddle/plugin-sdk";

export const faults = {
  "queue.record-too-large": { kind: "invalid", help: "A record is larger than `recordBytes`; nothing was written." },
  "queue.batch-too-large": {
    kind: "invalid",
    help: "One send is larger than the queue takes at once; nothing was written.",
  },
  "queue.topic-unknown": { kind: "missing", help: "The topic was never given to `ensure`." },
  "queue.partition-unknown": { kind: "invalid", help: "The topic has fewer partitions; nothing was written." },
  "queue.partitions": { kind: "conflict", help: "The topic exists with another number of partitions." },
  "queue.unsettled": { kind: "conflict", help: "A reader was asked to read again before its batch was settled." },
  "queue.settle": { kind: "conflict", help: "A batch was settled twice, or for more records than it holds." },
  "queue.reader-closed": { kind: "conflict", help: "The reader has given its partition up." },
  "queue.full": { kind: "exhausted", help: "More bytes wait to be written than the queue may hold." },
  "queue.disk": {
    kind: "unavailable",
    help: "The disk refused a write or a sync; the records are not known to be durable.",
  },
  "queue.closed": { kind: "unavailable", help: "The queue is not started or has been stopped." },
  "queue.corrupt": { kind: "internal", help: "A segment is damaged in a place that had been durable." },
  "queue.locked": { kind: "conflict", help: "Another process uses the directory." },
} as const satisfies FaultSpecs;

/** A fault of this plugin, with the kind that its code declares. */
export function fault(code: keyof typeof faults, message: string, cause?: unknown): Fault {
  const { kind } = faults[code];
  const pause = kind === "exhausted" || kind === "unavailable" ? { retryAfterMs: 1_000 } : {};
  return new Fault(kind, code, `queue-embedded: ${message}`, { ...pause, ...(cause === undefined ? {} : { cause }) });
}
