import type { Latency } from "@heddle/payload-codec";

/** Connectors told apart; the names come from outside. */
const mostConnectors = 100;

class Sum {
  #count = 0;
  #total = 0;
  #least = Number.POSITIVE_INFINITY;
  #most = Number.NEGATIVE_INFINITY;

  add(ms: number): void {
    this.#count++;
    this.#total += ms;
    this.#least = Math.min(this.#least, ms);
    this.#most = Math.max(this.#most, ms);
  }

  named(kind: string): Record<string, number> {
    return {
      [`avg${kind}Latency`]: Math.round(this.#total / this.#count),
      [`min${kind}Latency`]: this.#least,
      [`max${kind}Latency`]: this.#most,
    };
  }
}

/** How long values take from a device to its gateway's output, and from there to here; ms, by connector. */
export class Latencies {
  readonly #sums = new Map<string, { readonly gateway: Sum; readonly transport: Sum }>();
  readonly #periodMs: number;
  #due: number | undefined;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  /** `now`: ms since the epoch, `elapsed`: monotonic. */
  add({ connector, receivedTs, publishedTs }: Latency, at: { readonly now: number; readonly elapsed: number }): void {
    let sums = this.#sums.get(connector);
    if (sums === undefined) {
      if (this.#sums.size >= mostConnectors) return;
      sums = { gateway: new Sum(), transport: new Sum() };
      this.#sums.set(connector, sums);
    }
    sums.gateway.add(publishedTs - receivedTs);
    sums.transport.add(at.now - publishedTs);
    this.#due ??= at.elapsed + this.#periodMs;
  }

  /** The telemetry document when it is due; then the sums begin anew. */
  take(elapsed: number): string | undefined {
    if (this.#due === undefined || elapsed < this.#due) return undefined;
    this.#due = undefined;
    const entries = [...this.#sums].map(([connector, { gateway, transport }]) => {
      return [connector, { ...gateway.named("Gw"), ...transport.named("Transport") }] as const;
    });
    this.#sums.clear();
    return JSON.stringify({ gatewayMetrics: Object.fromEntries(entries) });
  }
}
