import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "api.forbidden": { kind: "denied", help: "The signed-in user may not do this." },
  "identity.anonymous": { kind: "denied", help: "Nobody is signed in, or the credentials have the wrong form." },
  "identity.method": { kind: "denied", help: "Signing in works by POST only." },
  "input.invalid": { kind: "invalid", help: "A parameter or field breaks a rule; the message says which." },
  "record.missing": { kind: "missing", help: "There is no such record, or it is another tenant's." },
  "api.plain": { kind: "invalid", help: "A refusal of telemetry or RPC, answered in plain text." },
  "api.body": { kind: "invalid", help: "The request body does not meet its schema." },
  "api.json": { kind: "invalid", help: "The request body is missing or not JSON." },
  "api.type": { kind: "invalid", help: "The content type of the request body is not supported." },
  "api.query": { kind: "invalid", help: "A parameter is missing or has another type." },
  "api.value": { kind: "invalid", help: "A reported value cannot be read." },
  "api.scope": { kind: "invalid", help: "There is no such attribute scope." },
  "api.entity-type": { kind: "invalid", help: "Entities of this type have no telemetry." },
  "api.scan": { kind: "invalid", help: "A list would have to look through too many devices." },
  "api.path": { kind: "missing", help: "There is no such operation." },
  "api.method": { kind: "invalid", help: "The operation has another method." },
  "api.request": { kind: "invalid", help: "The request cannot be read, or is too large." },
  "api.upload": {
    kind: "invalid",
    help: "A form with a file was asked for, and is missing, ends early or cannot be read.",
  },
  "api.mail": { kind: "unavailable", help: "A mail was asked for and no plugin sends mail." },
  "api.busy": { kind: "unavailable", help: "More requests are in progress than the configured bound." },
  "api.timeout": { kind: "unavailable", help: "The operation took longer than the configured time." },
  "api.gone": { kind: "unavailable", help: "The client went away before its answer." },
};
