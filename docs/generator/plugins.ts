import { neededCapability } from "@heddle/plugin-sdk";
import type { Instance } from "../../core/src/host/graph.ts";
import type { JsonSchema } from "../../core/src/manifest/json-schema.ts";
import { fieldTable } from "./fields.ts";
import { code, codes, page } from "./markdown.ts";

/** The cards of all plugins. */
export function pluginsPage(instances: readonly Instance[]): string {
  return page(
    "Plugins",
    "The cards of the plugins of the standalone distribution, in its order. Metrics and faults have [pages](metrics.md) of [their own](faults.md).",
    instances.map(card),
  );
}

function card({ id, plugin, file }: Instance): string {
  const needs = Object.values(plugin.requires ?? {}).map((need) => {
    const { id } = neededCapability(need);
    return "optional" in need ? `${code(id)} (optional)` : code(id);
  });
  const fields = fieldTable(plugin.config as unknown as JsonSchema);
  const gives = (plugin.provides ?? []).map((one) => one.id);
  return [
    `## ${plugin.name}`,
    `${plugin.summary}`,
    [
      file === undefined ? "- built into the node" : `- role ${code(id)}, ${plugin.stability}, SDK ${code(plugin.sdk)}`,
      `- gives ${gives.length === 0 ? "nothing" : codes(gives)}`,
      `- needs ${needs.length === 0 ? "nothing" : needs.join(", ")}`,
    ].join("\n"),
    fields === "" ? "No configuration." : fields,
  ].join("\n\n");
}
