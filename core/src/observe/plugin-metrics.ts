import type { Metric, MetricSpec, MetricSpecs } from "@heddle/plugin-sdk";
import type { MetricRegistry } from "./metrics.ts";

const units: Readonly<Record<string, string>> = { s: "seconds", ms: "milliseconds" };

/** The metrics of one plugin instance; instances of the same plugin share names and differ in the label `plugin`. */
export function pluginMetrics(
  registry: MetricRegistry,
  plugin: { readonly role: string; readonly name: string; readonly specs: MetricSpecs },
): Readonly<Record<string, Metric>> {
  const entries = Object.entries(plugin.specs).map(([key, spec]) => {
    const name = metricName(areaOf(plugin.name), key, spec);
    return [key, registry.metric(name, spec, { plugin: plugin.role })] as const;
  });
  return Object.freeze(Object.fromEntries(entries));
}

/** `heddle_<area>_<name>_<unit>`, with `_total` for counters; a unit that ends the name already is not repeated. */
export function metricName(area: string, key: string, spec: Pick<MetricSpec, "kind" | "unit">): string {
  const parts = [snake(area), snake(key)];
  const unit = snake(units[spec.unit] ?? spec.unit);
  if (unit !== "" && !parts[1]!.endsWith(unit)) parts.push(unit);
  if (spec.kind === "counter" && !parts.at(-1)!.endsWith("total")) parts.push("total");
  return `heddle_${parts.join("_")}`;
}

/** `@heddle/queue-kafka` and `@acme/heddle-queue-kafka` are both `queue-kafka`. */
function areaOf(name: string): string {
  return name.replace(/^@[^/]+\//, "").replace(/^heddle-/, "");
}

function snake(text: string): string {
  return text
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replaceAll(/[^a-zA-Z0-9]+/g, "_")
    .toLowerCase();
}
