import type { MetricSpec } from "@heddle/plugin-sdk";
import type { Instance } from "../../core/src/host/graph.ts";
import { collectKernelMetrics } from "../../core/src/observe/kernel-metrics.ts";
import type { MetricRegistry, Reading } from "../../core/src/observe/metrics.ts";
import { pluginMetrics } from "../../core/src/observe/plugin-metrics.ts";
import { collectProcessMetrics } from "../../core/src/observe/process-metrics.ts";
import { code, codes, page, table } from "./markdown.ts";

/** Every metric under the name that a scrape shows. */
export function metricsPage(instances: readonly Instance[]): string {
  const process = new Names();
  collectProcessMetrics(process.registry)[Symbol.dispose]();
  const kernel = new Names();
  collectKernelMetrics(kernel.registry, anyKernel as unknown as Parameters<typeof collectKernelMetrics>[1]);
  const sections = instances.flatMap(({ id, plugin }) => {
    const names = new Names();
    pluginMetrics(names.registry, { role: id, name: plugin.name, specs: plugin.metrics ?? {} });
    return names.rows.length === 0 ? [] : [`## ${plugin.name}`, names.table()];
  });
  return page(
    "Metrics",
    "What `/metrics` shows, in the Prometheus text format. Metrics of a plugin also have the label `plugin` with its role, so that two instances of one plugin can be told apart. A metric has at most 1,000 combinations of labels; further ones are counted under `other`.",
    ["## The process", process.table(), "## Actors, lanes and the cluster", kernel.table(), ...sections],
  );
}

/** Stands in for the registry and keeps what it is told. */
class Names {
  readonly rows: (readonly string[])[] = [];

  get registry(): MetricRegistry {
    const add = (name: string, kind: string, labels: readonly string[], help: string) =>
      void this.rows.push([code(name), kind, codes(labels), help]);
    const registry = {
      metric: (name: string, { kind, labels = [], help }: Omit<MetricSpec, "unit">) => add(name, kind, labels, help),
      gauge: (name: string, help: string, read: () => Reading) => add(name, "gauge", labelsOf(read()), help),
      counter: (name: string, help: string, read: () => Reading) => add(name, "counter", labelsOf(read()), help),
    };
    return registry as unknown as MetricRegistry;
  }

  table(): string {
    return table(["metric", "kind", "labels", ""], this.rows);
  }
}

/** Labels are told by what is read. */
function labelsOf(reading: Reading): readonly string[] {
  return typeof reading === "number" ? [] : Object.keys(reading[0]?.labels ?? {});
}

/** One of everything that the kernel counts, so that each metric has a reading. */
const anyKernel = {
  actors: {
    census: () => [{ kind: "", alive: 0, backlog: 0 }],
    counters: { turns: 0, deadLetters: 0, kinds: () => [["", {}]] },
  },
  ownership: { epoch: 0, members: [], servedPartitions: new Set(), counters: { views: 0 }, onHandOver: undefined },
  router: { counters: { sent: 0 } },
  lanes: { counters: () => ({ published: [["", {}]], consumed: [{ lane: "", group: "", counters: {} }] }) },
};
