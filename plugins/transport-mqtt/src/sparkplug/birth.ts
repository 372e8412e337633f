import type { SparkplugMetric, SparkplugPayload } from "@heddle/payload-codec";

/** Metrics that a birth may announce. */
const mostMetrics = 10_000;

/** What a node or device has announced: the names behind aliases, and how each metric is typed. */
export class Birth {
  readonly #names = new Map<string, string>();
  readonly #datatypes = new Map<string, number>();

  announce({ metrics }: SparkplugPayload): void {
    this.#names.clear();
    this.#datatypes.clear();
    for (const { name, alias, datatype } of metrics.slice(0, mostMetrics)) {
      if (name === undefined) continue;
      if (alias !== undefined) this.#names.set(alias, name);
      if (datatype !== undefined) this.#datatypes.set(name, datatype);
    }
  }

  nameOf({ name, alias }: Pick<SparkplugMetric, "name" | "alias">): string | undefined {
    return name ?? (alias === undefined ? undefined : this.#names.get(alias));
  }

  datatypeOf(name: string | undefined): number | undefined {
    return name === undefined ? undefined : this.#datatypes.get(name);
  }
}
