import { Fault, type Log, type RuleNode, type RuleNodeDocument, type RuleNodeProvider } from "@heddle/plugin-sdk";
import { Ajv, type ValidateFunction } from "ajv";

/** The kinds of rule nodes that this distribution has, and how their configurations are read. */
export class NodeTypes {
  readonly #providers = new Map<string, RuleNodeProvider>();
  readonly #validators = new Map<string, ValidateFunction>();
  readonly #ajv = new Ajv({ allErrors: true, useDefaults: true, strict: false });

  constructor(lists: readonly (readonly RuleNodeProvider[])[]) {
    for (const provider of lists.flat()) {
      const { type } = provider.definition;
      if (this.#providers.has(type))
        throw new Fault("invalid", "rule.type", `two plugins bring a rule node of type ${type}`);
      this.#providers.set(type, provider);
    }
  }

  /** Fault `rule.type` for a type nobody brings, `rule.config` for a configuration that does not fit. */
  create(
    node: RuleNodeDocument,
    at: { readonly tenantId: string; readonly ruleChainId: string; readonly log: Log },
  ): RuleNode {
    const provider = this.#providers.get(node.type);
    if (provider === undefined) {
      throw new Fault(
        "invalid",
        "rule.type",
        `rule node ${node.name}: no plugin of this distribution brings the type ${node.type}`,
      );
    }
    const config = this.#configuration(provider, node);
    return provider.create({ ...at, config, ruleNodeId: node.id, name: node.name });
  }

  #configuration({ definition }: RuleNodeProvider, node: RuleNodeDocument): unknown {
    let config: any = structuredClone(node.configuration);
    for (let version = node.configurationVersion; version < definition.version; version++) {
      const migrate = definition.migrate?.[version];
      if (migrate === undefined) {
        throw new Fault(
          "invalid",
          "rule.config",
          `rule node ${node.name}: configuration version ${version} cannot be brought to ${definition.version}`,
        );
      }
      config = migrate(config);
    }
    const validate = this.#validators.get(node.type) ?? this.#ajv.compile(definition.config);
    this.#validators.set(node.type, validate);
    if (validate(config)) return config;
    throw new Fault(
      "invalid",
      "rule.config",
      `rule node ${node.name}: configuration${this.#ajv.errorsText(validate.errors, { dataVar: "" })}`,
    );
  }
}
