import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "input.invalid": { kind: "invalid", help: "A package breaks a rule, or is in use; the message says which." },
  "record.conflict": { kind: "conflict", help: "Somebody else has changed the package meanwhile." },
  "record.missing": { kind: "missing", help: "There is no such package." },
  "ota.too-large": { kind: "invalid", help: "A package is larger than the configured bound." },
  "ota.no-data": { kind: "missing", help: "The package has no bytes here: they lie elsewhere, or were never sent." },
  "ota.upload-time": { kind: "unavailable", help: "An upload took longer than the configured time." },
};
