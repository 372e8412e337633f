import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults = {
  "coordinator.duplicate": {
    kind: "conflict",
    help: "The node has joined already; a second node needs another coordinator.",
  },
  "coordinator.left": { kind: "conflict", help: "The membership was given up; join again." },
} as const satisfies FaultSpecs;
