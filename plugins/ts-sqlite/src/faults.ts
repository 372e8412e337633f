import { Fault, type FaultSpecs } from "@heddle/plugin-sdk";
import type { Trouble } from "@heddle/sqlite-driver";

export const faults = {
  "timeseries.locked": { kind: "unavailable", help: "Another process has the file open." },
  "timeseries.unavailable": { kind: "unavailable", help: "The disk is full or failing; nothing acknowledged is lost." },
  "timeseries.exhausted": { kind: "exhausted", help: "More waits for the disk than the configured bound." },
  "timeseries.invalid": { kind: "invalid", help: "A point has no integral time, or a query has no windows." },
  "timeseries.internal": { kind: "internal", help: "A defect; the log has particulars." },
} as const satisfies FaultSpecs;

export function fault(code: keyof typeof faults, message: string, cause?: unknown): Fault {
  return new Fault(faults[code].kind, code, `ts-sqlite: ${message}`, cause === undefined ? {} : { cause });
}

const codes: Record<Trouble["trouble"], keyof typeof faults> = {
  locked: "timeseries.locked",
  disk: "timeseries.unavailable",
  gone: "timeseries.unavailable",
  full: "timeseries.exhausted",
  conflict: "timeseries.internal",
  defect: "timeseries.internal",
};

/** The fault of the worker's trouble, with the file it concerns. */
export function faultOf({ trouble, message }: Trouble, file: string): Fault {
  const detail = trouble === "locked" ? "is in use by another process" : message;
  return fault(codes[trouble], `${file}: ${detail}`);
}
