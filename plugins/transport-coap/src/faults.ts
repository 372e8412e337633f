import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "coap.listen": { kind: "unavailable", help: "The port cannot be listened on." },
  "coap.stopping": { kind: "unavailable", help: "The listener is stopping." },
  "coap.rpc-timeout": { kind: "unavailable", help: "No rule chain answered a device's call in time." },
  "coap.observers": { kind: "exhausted", help: "As many devices observe as the listener takes." },
  "coap.not-observed": { kind: "missing", help: "The device does not observe what was to be pushed to it." },
  "coap.observer-lost": { kind: "unavailable", help: "The observer reset, did not confirm, or left." },
  "coap.observer-slow": { kind: "exhausted", help: "An observer confirms slower than it is pushed to." },
};
