import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "onboarding.json": { kind: "invalid", help: "A provisioning request is no JSON object." },
  "onboarding.request": {
    kind: "invalid",
    help: "A provisioning request lacks a member that it must have, or one of them has the wrong type.",
  },
  "device.payload": { kind: "invalid", help: "A claim that a device sent cannot be read." },
  "record.missing": { kind: "missing", help: "There is no such device." },
};
