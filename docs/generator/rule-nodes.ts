import { type Plugin, type RuleNodeDefinition, type RuleNodeProvider, RuleNodes } from "@heddle/plugin-sdk";
import type { Instance } from "../../core/src/host/graph.ts";
import type { JsonSchema } from "../../core/src/manifest/json-schema.ts";
import { fieldTable } from "./fields.ts";
import { code, codes, page } from "./markdown.ts";

/** The rule nodes of all plugins that contribute some. */
export function ruleNodesPage(instances: readonly Instance[]): string {
  const packs = instances.filter(({ plugin }) => plugin.provides?.some(({ id }) => id === RuleNodes.id));
  const nodes = packs.flatMap(({ plugin }) => providersOf(plugin).map(({ definition }) => ({ definition, plugin })));
  return page(
    "Rule nodes",
    "What a rule chain can be made of. Every node may also end in the relation `Failure`, which it does not declare.",
    nodes.map(({ definition, plugin }) => section(definition, plugin.name)),
  );
}

function section(definition: RuleNodeDefinition<any, any, any>, from: string): string {
  const { title, summary, type, version, category, relations, config } = definition;
  const fields = fieldTable(config as unknown as JsonSchema);
  return [
    `## ${title}`,
    summary,
    [
      `- type ${code(type)}, configuration version ${version}`,
      `- category ${category}, from ${code(from)}`,
      `- relations: ${codes(relations)}`,
    ].join("\n"),
    fields === "" ? "No configuration." : fields,
  ].join("\n\n");
}

/** What the plugin registers for the extension point; making the list needs none of its dependencies. */
function providersOf(plugin: Plugin<any, any, any>): readonly RuleNodeProvider[] {
  let make: () => readonly RuleNodeProvider[] = () => [];
  const register = (token: symbol, { useFactory }: { useFactory: typeof make }) => {
    if (token === RuleNodes.token) make = useFactory;
  };
  plugin.register({ container: { register }, deps: {}, config: {}, metrics: {} } as unknown as Parameters<
    Plugin["register"]
  >[0]);
  return make();
}
