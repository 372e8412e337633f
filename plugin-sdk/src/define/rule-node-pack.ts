import { Type } from "../schema.ts";
import type { Needs } from "./capability.ts";
import { definePlugin, type Plugin, provide } from "./plugin.ts";
import { type RuleNodeDefinition, RuleNodes } from "./rule-node.ts";

export interface RuleNodePack {
  /** The npm package name. */
  readonly name: string;
  readonly sdk: string;
  readonly summary: string;
  readonly stability?: "experimental" | "beta" | "stable";
  readonly nodes: readonly RuleNodeDefinition<any, any, any>[];
}

/** Rule nodes as a plugin: it needs what its nodes need and contributes them. */
export function defineRuleNodePack(pack: RuleNodePack): Plugin<any, any, any> {
  const requires: Record<string, Needs[string]> = {};
  for (const node of pack.nodes) Object.assign(requires, node.requires);
  return definePlugin({
    name: pack.name,
    sdk: pack.sdk,
    summary: pack.summary,
    stability: pack.stability ?? "beta",
    config: Type.Object({}, { additionalProperties: false }),
    requires: requires as Needs,
    provides: [RuleNodes],
    register({ container, deps }) {
      provide(container, RuleNodes, () =>
        pack.nodes.map((definition) => ({
          definition,
          create: (ctx) => definition.create({ ...ctx, deps, config: ctx.config }),
        })),
      );
    },
  });
}
