import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "onboarding.json": { kind: "invalid", help: "A provisioning request is no JSON object." },
  "onboarding.request": {
    kind: "invalid",
    help: "A provisioning request lacks a member that it must have, or one of them has the wrong type.",
  },
  "onboarding.busy": { kind: "exhausted", help: "Too many devices behind gateways are being looked up at once." },
};
