import { capability } from "../define/capability.ts";
import type { CallOptions } from "../kernel/call.ts";
import type { CollectionSpec } from "../spi/entities.ts";

export type UsageState = "ENABLED" | "WARNING" | "DISABLED";
/** What is counted of a tenant; each has a limit in the tenant's profile (rest-semantics 17.10–17.11). */
export type UsageCounter = "transportMessages" | "transportDataPoints";

/** What a tenant has used in the current month; written by `devices`. */
export interface ApiUsageDocument {
  /** The tenant's id. */
  readonly id: string;
  /** Id of the API_USAGE_STATE entity. */
  readonly stateId: string;
  readonly createdTime: number;
  /** `2026-12`, UTC. */
  readonly month: string;
  readonly counts: Readonly<Record<UsageCounter, number>>;
  readonly transportState: UsageState;
}
export const apiUsageCollection: CollectionSpec<ApiUsageDocument> = { name: "api-usage", id: "id", indexes: [["id"]] };

export interface ApiUsage {
  /** Of the current month; zeros for a tenant that has used nothing. */
  usageOf(tenantId: string, call: CallOptions): Promise<ApiUsageDocument>;
}
export const ApiUsage = capability<ApiUsage>("api-usage@1");
