import type { LaneSpec } from "@heddle/plugin-sdk";

/** Entities whose data is still to be dropped, keyed by tenant: bodies are `Removal`. */
export const removalLane: LaneSpec = {
  name: "removals",
  retainMs: 7 * 24 * 3_600_000,
  retry: { attempts: 20, backoffMs: 5_000 },
  exhausted: "deadLetter",
};
