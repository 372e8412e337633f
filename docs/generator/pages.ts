import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { nodeBuiltIns } from "@heddle/core";
import { loadDistribution } from "../../core/src/host/distribution.ts";
import { capabilitiesPage } from "./capabilities.ts";
import { conformancePage } from "./conformance.ts";
import { faultsPage } from "./faults.ts";
import { manifestPage } from "./manifest.ts";
import { metricsPage } from "./metrics.ts";
import { pluginsPage } from "./plugins.ts";
import { ruleNodesPage } from "./rule-nodes.ts";

const root = resolve(import.meta.dirname, "../..");

/** Made pages by their path below `docs`: from the cards of all distributions, from the SDK, and from the names of the tests. */
export async function madePages(): Promise<ReadonlyMap<string, string>> {
  const standalone = await loaded("standalone");
  if (standalone.problems.length > 0) throw new Error(standalone.problems.map(({ message }) => message).join("\n"));
  // A card can be read without what the machine lacks to run it.
  const cluster = await loaded("cluster", {
    ZOOKEEPER: "zookeeper:2181",
    KAFKA: "kafka:9092",
    CASSANDRA: "cassandra:9042",
  });
  const known = new Set(standalone.instances.map(({ plugin }) => plugin.name));
  const instances = [...standalone.instances, ...cluster.instances.filter(({ plugin }) => !known.has(plugin.name))];
  return new Map([
    ["reference/manifest.md", manifestPage()],
    ["reference/plugins.md", pluginsPage(instances)],
    ["reference/capabilities.md", capabilitiesPage(instances, root)],
    ["reference/faults.md", faultsPage(instances)],
    ["reference/metrics.md", metricsPage(instances)],
    ["reference/rule-nodes.md", ruleNodesPage(instances)],
    ["connect/conformance.md", conformancePage(root)],
  ]);
}

function loaded(distribution: string, env: Readonly<Record<string, string>> = {}) {
  const manifest = join(root, "distributions", distribution, "manifest.yaml");
  return loadDistribution({ manifest, builtIns: nodeBuiltIns(), env, cwd: root });
}

export function pageFile(name: string): string {
  return join(root, "docs", name);
}

/** Names of the pages whose file is missing or says something else. */
export function stalePages(pages: ReadonlyMap<string, string>): readonly string[] {
  return [...pages].flatMap(([name, text]) => {
    const file = pageFile(name);
    return existsSync(file) && readFileSync(file, "utf8") === text ? [] : [name];
  });
}
