import { TypeCompiler } from "@sinclair/typebox/compiler";
import type { Log, Msg, Plain, RuleNode, RuleNodeDefinition, RuleTurn } from "../src/index.ts";
import { describeCases, type KitCase } from "./kit.ts";
import { silentLog } from "./world.ts";

/** One way through a node: what goes in, and along which relations it comes out. */
export interface RuleNodeExample {
  readonly config?: object;
  readonly msg: Partial<Msg>;
  /** Relation names in the order of the routes; empty when the branch ends; `Failure` for a throw. */
  readonly relations: readonly string[];
}

export interface RuleNodeKit {
  readonly deps?: Readonly<Record<string, unknown>>;
  /** Together they must reach every relation of the node. */
  readonly examples: readonly RuleNodeExample[];
}

const never = new AbortController().signal;

/** A message as kits make them. */
export function exampleMsg(parts: Partial<Msg>): Msg {
  return {
    id: "784f394c-42b6-435a-983c-b7beff2784f9",
    type: "POST_TELEMETRY_REQUEST",
    originator: { entityType: "DEVICE", id: "de9d54a0-2b7a-11ec-a3cc-23386423d98f" },
    tenantId: "1da6ae90-9d58-11ef-b1c2-0242ac120002",
    ts: 1_700_000_000_000,
    metadata: {},
    data: {},
    dataType: "JSON",
    ...parts,
  };
}

const turn: RuleTurn<string> = {
  signal: never,
  trace: "",
  to: (relation, msg) => ({ relation, msg }),
  with: (msg, change) => ({ ...msg, ...change }),
};

/** What every rule node must stand: `describeRuleNode(node, { examples })`. */
export function describeRuleNode(definition: RuleNodeDefinition<any, any, any>, kit: RuleNodeKit): void {
  describeCases(`rule node ${definition.title}`, ruleNodeCases(definition, kit), async () => ({
    [Symbol.asyncDispose]: async () => {},
  }));
}

export function ruleNodeCases(definition: RuleNodeDefinition<any, any, any>, kit: RuleNodeKit): KitCase<object>[] {
  const create = (config: object | undefined): RuleNode =>
    definition.create({
      config: defaulted(definition, config ?? {}),
      deps: kit.deps ?? {},
      log: silentLog as Log,
      tenantId: "1da6ae90-9d58-11ef-b1c2-0242ac120002",
      ruleChainId: "2da6ae90-9d58-11ef-b1c2-0242ac120002",
      ruleNodeId: "3da6ae90-9d58-11ef-b1c2-0242ac120002",
      name: definition.title,
    } as any);
  const taken = async ({ config, msg }: RuleNodeExample) => {
    try {
      const routes = await create(config).onMsg(exampleMsg(msg), turn);
      return routes === undefined ? [] : [routes].flat().map(({ relation }) => relation);
    } catch {
      return ["Failure"];
    }
  };
  return [
    { name: "is created with its default configuration", run: async () => void create(undefined) },
    {
      name: "has a default for every field that it needs",
      run: async () => {
        const checker = TypeCompiler.Compile(definition.config);
        const config = defaulted(definition, {});
        if (!checker.Check(config)) throw new Error(`not valid: ${JSON.stringify([...checker.Errors(config)][0])}`);
      },
    },
    {
      name: "brings every older configuration to its version",
      run: async () => {
        for (let version = 0; version < definition.version; version++) {
          const migrate = definition.migrate?.[version] as ((old: Plain) => Plain) | undefined;
          if (migrate === undefined) throw new Error(`nothing brings version ${version} further`);
        }
      },
    },
    {
      name: "takes the relations that the examples say",
      run: async () => {
        for (const example of kit.examples) {
          const relations = await taken(example);
          const [is, should] = [JSON.stringify(relations), JSON.stringify(example.relations)];
          if (is !== should) throw new Error(`${JSON.stringify(example.msg)} took ${is}, not ${should}`);
        }
      },
    },
    {
      name: "declares every relation that it takes, and can take every one it declares",
      run: async () => {
        const seen = new Set((await Promise.all(kit.examples.map(taken))).flat());
        const declared = new Set<string>(definition.relations);
        for (const relation of seen)
          if (relation !== "Failure" && !declared.has(relation)) throw new Error(`undeclared: ${relation}`);
        for (const relation of declared) if (!seen.has(relation)) throw new Error(`no example takes ${relation}`);
      },
    },
    {
      name: "leaves the message that it was given as it is",
      run: async () => {
        for (const example of kit.examples) {
          const msg = deepFreeze(exampleMsg(example.msg));
          try {
            await create(example.config).onMsg(msg, turn);
          } catch (error) {
            if (error instanceof TypeError && /read only|not extensible/.test(error.message)) throw error;
          }
        }
      },
    },
  ];
}

function defaulted(definition: RuleNodeDefinition<any, any, any>, config: object): object {
  const fields = definition.config.properties as Record<string, { default?: unknown }>;
  const defaults = Object.entries(fields).flatMap(([name, { default: value }]) =>
    value === undefined ? [] : [[name, structuredClone(value)]],
  );
  return { ...Object.fromEntries(defaults), ...config };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}
