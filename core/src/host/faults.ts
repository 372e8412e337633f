import type { FaultSpecs } from "@heddle/plugin-sdk";

export const hostFaults = {
  "host.start-failed": { kind: "internal", help: "A plugin could not start; what had started was stopped again." },
  "host.not-registered": { kind: "internal", help: "A plugin says it provides a capability and did not register it." },
  "host.factory-cycle": { kind: "internal", help: "Factories read each other's values while these are being made." },
  "host.stopping": { kind: "unavailable", help: "The node was stopped while it was starting." },
  "host.stop-deadline": { kind: "unavailable", help: "A plugin was still stopping when the time for it was over." },
  "host.not-running": {
    kind: "unavailable",
    help: "The host was asked for a value before it had registered its plugins.",
  },
} satisfies FaultSpecs;
