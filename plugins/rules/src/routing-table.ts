import type { RuleChainDocument, RuleNodeDocument } from "@heddle/plugin-sdk";

/** Where a chain's messages go: relation names compare without case (rule-engine 1.5). */
export class RoutingTable {
  readonly firstNode: string | undefined;
  readonly nodes: ReadonlyMap<string, RuleNodeDocument>;
  readonly #targets = new Map<string, Map<string, string[]>>();

  constructor(chain: RuleChainDocument) {
    this.firstNode = chain.firstRuleNodeId ?? undefined;
    this.nodes = new Map(chain.nodes.map((node) => [node.id, node]));
    for (const { from, to, type } of chain.connections) {
      const relations = this.#targets.get(from) ?? new Map<string, string[]>();
      this.#targets.set(from, relations);
      const name = type.toLowerCase();
      relations.set(name, [...(relations.get(name) ?? []), to]);
      relations.set(type, relations.get(name) as string[]);
    }
  }

  /** Nodes behind a relation of a node; empty ends the branch. */
  targets(node: string, relation: string): readonly string[] {
    const relations = this.#targets.get(node);
    return relations?.get(relation) ?? relations?.get(relation.toLowerCase()) ?? none;
  }
}

const none: readonly string[] = [];
