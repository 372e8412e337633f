import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults = {
  "coordinator.duplicate": {
    kind: "conflict",
    help: "A live node of this machine has this name.",
  },
  "coordinator.partitions": {
    kind: "conflict",
    help: "The nodes of this machine were started with another number of partitions.",
  },
  "coordinator.left": { kind: "conflict", help: "The membership was given up; join again." },
} as const satisfies FaultSpecs;
