import { Fault, type SessionLimits, type World } from "@heddle/plugin-sdk";
import type { Counted, TenantTerms, Whose } from "./tenant-terms.ts";

export interface LimiterOptions {
  readonly world: World;
  readonly terms: TenantTerms;
  readonly whose: Exclude<Whose, "tenant">;
  /** Of the device, or of the gateway that speaks for it. */
  readonly deviceId: string;
  refused(whose: Whose | "usage", counted: Counted): void;
}

/** Counts what a device sends against its tenant's limits and its own (device-api 0.6). Fault `device.rate-limit`. */
export class Limiter {
  readonly #options: LimiterOptions;

  constructor(options: LimiterOptions) {
    this.#options = options;
  }

  /** A message with so many data points; without any it counts like the others. */
  values(points: number): void {
    const { terms } = this.#options;
    terms.used = true;
    if (terms.disabled || terms.limited) {
      if (points === 0) return this.message();
      this.#take("telemetryMessages", 1);
      this.#take("telemetryDataPoints", points);
    }
    terms.messages++;
    terms.points += points;
  }

  message(): void {
    const { terms } = this.#options;
    terms.used = true;
    if (terms.disabled || terms.limited) this.#take("messages", 1);
  }

  get limits(): SessionLimits {
    const { terms, whose } = this.#options;
    return { own: terms.limitsOf(whose), children: terms.limitsOf("gateway") };
  }

  #take(counted: Counted, count: number): void {
    const { terms, world, whose, deviceId, refused } = this.#options;
    if (terms.disabled) {
      refused("usage", counted);
      throw new Fault("exhausted", "device.usage", "the tenant has used up its messages of this month");
    }
    if (!terms.limited) return;
    const now = world.elapsed();
    for (const [by, id] of [["tenant", ""] as const, [whose, deviceId] as const]) {
      const buckets = terms.bucketsOf(by, id, now)[counted];
      if (buckets === undefined || buckets.take(count, now)) continue;
      refused(by, counted);
      const retryAfterMs = Math.ceil(buckets.waitMs(count));
      throw new Fault("exhausted", "device.rate-limit", `${counted} of the ${by} above the limit`, { retryAfterMs });
    }
  }
}
