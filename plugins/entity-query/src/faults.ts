import type { FaultSpecs } from "@heddle/plugin-sdk";

export const faults: FaultSpecs = {
  "input.invalid": {
    kind: "invalid",
    help: "An entity query lacks what it must have, or asks for what does not exist.",
  },
};
