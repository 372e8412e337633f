import { sharedFaults } from "@heddle/cassandra-driver";
import { Fault, type FaultSpecs } from "@heddle/plugin-sdk";

export const faults = {
  ...sharedFaults,
  "store.conflict": { kind: "conflict", help: "The document has another version than expected." },
  "store.exists": { kind: "conflict", help: "A document with this id exists already." },
  "store.unique": { kind: "conflict", help: "Another document has the same values; `data.fields` names the list." },
  "store.batch": { kind: "conflict", help: "Some items of a write failed; `failures` lists them." },
  "store.query-too-broad": { kind: "exhausted", help: "A query would look at more documents than `maxScan`." },
  "store.contended": { kind: "unavailable", help: "Too many writers at once want the same document or claim." },
} as const satisfies FaultSpecs;

export type FaultCode = keyof typeof faults;

export function fault(code: FaultCode, message: string, data?: Readonly<Record<string, unknown>>): Fault {
  return new Fault(faults[code].kind, code, `store-cassandra: ${message}`, data === undefined ? {} : { data });
}
