import {
  ActorKinds,
  Actors,
  Cluster,
  Duration,
  definePlugin,
  EntityStore,
  Lanes,
  Log,
  provide,
  RuleNodes,
  Rules,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { RuleEngine } from "./rule-engine.ts";

export default definePlugin({
  name: "@heddle/rules",
  sdk: "^1.0",
  summary: "The rule engine: tenants, rule chains and rule nodes as actors.",
  stability: "beta",
  config: Type.Object(
    {
      deadline: Duration({
        default: "30s",
        description: "A message not processed by then fails, naming the node that holds it.",
      }),
      hopLimit: Type.Integer({
        default: 0,
        minimum: 0,
        description: "Rule nodes that one message may enter; 0 is unlimited.",
      }),
    },
    { additionalProperties: false },
  ),
  requires: {
    world: World,
    log: Log,
    actors: Actors,
    lanes: Lanes,
    cluster: Cluster,
    entities: EntityStore,
    nodes: RuleNodes,
  },
  provides: [Rules, ActorKinds],
  faults,
  register({ container, config, deps }) {
    let made: RuleEngine | undefined;
    const engine = () => {
      made ??= new RuleEngine(deps, config);
      return made;
    };
    provide(container, Rules, engine);
    provide(container, ActorKinds, () => engine().actorKinds);
  },
});
