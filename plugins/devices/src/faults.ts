import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "device.payload": {
    kind: "invalid",
    help: "What a device sent cannot be read, or has another shape than its topic asks for.",
  },
  "device.rate-limit": { kind: "exhausted", help: "A limit of the tenant's profile refuses the message." },
  "device.usage": { kind: "exhausted", help: "The tenant has used up its messages or data points of the month." },
  "input.invalid": {
    kind: "invalid",
    help: "A device, its credentials or its profile break a rule; the message says which.",
  },
  "record.conflict": { kind: "conflict", help: "The record has a newer version than the caller knows." },
  "record.missing": { kind: "missing", help: "There is no such device, profile or call." },
  "registry.assigned": { kind: "conflict", help: "The device belongs to a customer already." },
  "registry.limit": { kind: "denied", help: "The tenant profile allows no more devices." },
  "rpc.timeout": { kind: "unavailable", help: "No rule chain answered a device's call in time." },
  "rpc.moved": { kind: "unavailable", help: "The node that carried a server-side call left before its answer." },
  "rpc.unconfirmed": { kind: "unavailable", help: "A device did not confirm a server-side call in time." },
  "rpc.pending": { kind: "exhausted", help: "Too many server-side calls wait for one device." },
  "session.gone": { kind: "missing", help: "The session that a message was for has ended." },
};
