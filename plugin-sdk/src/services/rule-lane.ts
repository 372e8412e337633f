import type { LaneSpec } from "../kernel/lanes.ts";

/**
 * Messages for the rule engine, keyed by `entityKey(tenant, originator)`; bodies are rule records. A message that a chain
 * fails is not processed again (rule-engine 3.4, SKIP_ALL_FAILURES); one that a store cannot take now waits for it.
 */
export const ruleLane: LaneSpec = {
  name: "rule-engine",
  retainMs: 7 * 24 * 3_600_000,
  retry: { attempts: 1, backoffMs: 1_000 },
  exhausted: "skip",
  pipeline: 64,
};

/** Things a device's owner must act on: attributes that changed, credentials, deletion. Keyed like `ruleLane`. */
export const deviceLane: LaneSpec = {
  name: "device-events",
  retainMs: 7 * 24 * 3_600_000,
  retry: { attempts: 5, backoffMs: 500 },
  exhausted: "skip",
};

/** Bodies of `deviceLane`. */
export type DeviceEvent =
  | {
      readonly kind: "attributes";
      /** SHARED_SCOPE is pushed to the device; SERVER_SCOPE may change how it is watched. */
      readonly scope: "SHARED_SCOPE" | "SERVER_SCOPE";
      readonly tenantId: string;
      readonly deviceId: string;
      readonly version: number;
      /** New values, as typed JSON text of one object. */
      readonly values?: string;
      readonly removed?: readonly string[];
    }
  | { readonly kind: "credentials"; readonly tenantId: string; readonly deviceId: string }
  | { readonly kind: "updated"; readonly tenantId: string; readonly deviceId: string }
  | { readonly kind: "deleted"; readonly tenantId: string; readonly deviceId: string };
