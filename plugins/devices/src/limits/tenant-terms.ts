import type { RateLimits } from "@heddle/plugin-sdk";
import { readLimit, TokenBuckets } from "./token-buckets.ts";

/** Whom a limit is about: the tenant as a whole, one device, a gateway for itself, a gateway for its children. */
export type Whose = "tenant" | "device" | "gatewayDevice" | "gateway";
export type Counted = "messages" | "telemetryMessages" | "telemetryDataPoints";

const names: Readonly<Record<Whose, string>> = {
  tenant: "transportTenant",
  device: "transportDevice",
  gatewayDevice: "transportGatewayDevice",
  gateway: "transportGateway",
};
const suffixes: Readonly<Record<Counted, string>> = {
  messages: "MsgRateLimit",
  telemetryMessages: "TelemetryMsgRateLimit",
  telemetryDataPoints: "TelemetryDataPointsRateLimit",
};

type Buckets = Readonly<Partial<Record<Counted, TokenBuckets>>>;
/** Devices whose tokens are remembered; a forgotten one starts full. */
const mostDevices = 100_000;

/** What a tenant's profile allows its devices on this node, and what they have used of it. */
export class TenantTerms {
  /** The API usage of the month is used up: nothing is taken. */
  disabled = false;
  /** Taken since the usage was last written down. */
  messages = 0;
  points = 0;
  /** Somebody has asked since the terms were last read. */
  used = true;
  #configuration: Readonly<Record<string, unknown>> = {};
  /** Undefined where the profile limits nothing. */
  #buckets: Map<string, Buckets> | undefined;

  get limited(): boolean {
    return this.#buckets !== undefined;
  }

  get configuration(): Readonly<Record<string, unknown>> {
    return this.#configuration;
  }

  /** What was used of limits that stay as they are stays used. */
  configure(configuration: Readonly<Record<string, unknown>>): void {
    const before = this.#texts(this.#configuration);
    const now = this.#texts(configuration);
    this.#configuration = configuration;
    if (before === now) return;
    const limited = Object.keys(names).some((whose) => this.#pairs(whose as Whose).length > 0);
    this.#buckets = limited ? new Map() : undefined;
  }

  limitsOf(whose: Whose): RateLimits {
    const text = (counted: Counted) => {
      const given = this.#configuration[names[whose] + suffixes[counted]];
      return typeof given === "string" && given !== "" ? given : null;
    };
    return {
      messages: text("messages"),
      telemetryMessages: text("telemetryMessages"),
      telemetryDataPoints: text("telemetryDataPoints"),
    };
  }

  /** The buckets of one device, or of the tenant under an empty id. */
  bucketsOf(whose: Whose, id: string, now: number): Buckets {
    const all = this.#buckets as Map<string, Buckets>;
    const key = `${whose}/${id}`;
    let buckets = all.get(key);
    if (buckets === undefined) {
      buckets = Object.fromEntries(
        this.#pairs(whose).map(([counted, pairs]) => [counted, new TokenBuckets(pairs, now)]),
      );
      if (all.size >= mostDevices) all.delete(all.keys().next().value as string);
      all.set(key, buckets);
    }
    return buckets;
  }

  #pairs(whose: Whose) {
    return (Object.keys(suffixes) as Counted[]).flatMap((counted) => {
      const pairs = readLimit(this.#configuration[names[whose] + suffixes[counted]]);
      return pairs === undefined ? [] : [[counted, pairs] as const];
    });
  }

  #texts(configuration: Readonly<Record<string, unknown>>): string {
    const all = Object.values(names).flatMap((name) => Object.values(suffixes).map((suffix) => name + suffix));
    return JSON.stringify(all.map((name) => configuration[name] ?? null));
  }
}
