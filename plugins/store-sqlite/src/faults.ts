import { Fault, type FaultSpecs } from "@heddle/plugin-sdk";
import type { Trouble } from "@heddle/sqlite-driver";

export const faults = {
  "store.conflict": { kind: "conflict", help: "The document has another version than expected." },
  "store.exists": { kind: "conflict", help: "A document with this id exists already." },
  "store.unique": { kind: "conflict", help: "Another document has the same values; `data.fields` names the list." },
  "store.batch": { kind: "conflict", help: "Some items of a write failed; `failures` lists them." },
  "store.invalid": { kind: "invalid", help: "A document has no id, or a collection is declared in two ways." },
  "store.locked": { kind: "unavailable", help: "Another process has the file open." },
  "store.unavailable": { kind: "unavailable", help: "The disk is full or failing; nothing acknowledged is lost." },
  "store.exhausted": { kind: "exhausted", help: "More calls wait for the disk than the configured bound." },
  "store.internal": { kind: "internal", help: "A defect; the log has particulars." },
} as const satisfies FaultSpecs;

export type FaultCode = keyof typeof faults;

export function fault(code: FaultCode, message: string, data?: Readonly<Record<string, unknown>>): Fault {
  return new Fault(faults[code].kind, code, `store-sqlite: ${message}`, data === undefined ? {} : { data });
}

const codes: Record<Trouble["trouble"], FaultCode> = {
  locked: "store.locked",
  disk: "store.unavailable",
  gone: "store.unavailable",
  full: "store.exhausted",
  conflict: "store.conflict",
  defect: "store.internal",
};

/** The fault of the worker's trouble, with the file it concerns. */
export function faultOf({ trouble, message }: Trouble, file: string): Fault {
  const detail = trouble === "locked" ? "is in use by another process" : message;
  return fault(codes[trouble], `${file}: ${detail}`);
}
