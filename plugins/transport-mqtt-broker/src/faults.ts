import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "input.invalid": { kind: "invalid", help: "An application's name or topic filter cannot be used." },
  "record.missing": { kind: "missing", help: "There is no such application." },
  "record.conflict": { kind: "conflict", help: "The application was changed by somebody else meanwhile." },
  "record.name-taken": { kind: "invalid", help: "Another application of the tenant has that name." },
  "applications.limit": { kind: "denied", help: "The tenant has as many applications as it may have." },
};
