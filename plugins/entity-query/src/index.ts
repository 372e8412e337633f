import {
  AttributeStore,
  definePlugin,
  EntityQueries,
  EntityStore,
  provide,
  TimeseriesStore,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { StoredQueries } from "./stored-queries.ts";

export default definePlugin({
  name: "@heddle/entity-query",
  sdk: "^1.0",
  summary: "Entities by filter, with their latest values.",
  stability: "beta",
  config: Type.Object(
    {
      scanned: Type.Integer({
        default: 50_000,
        minimum: 1,
        description:
          "Entities that one query looks at, the newest ones; filters beyond kind, type and owner need that.",
      }),
    },
    { additionalProperties: false },
  ),
  requires: { world: World, entities: EntityStore, attributes: AttributeStore, series: TimeseriesStore },
  provides: [EntityQueries],
  faults,
  register({ container, config, deps }) {
    provide(container, EntityQueries, () => new StoredQueries(deps, config.scanned));
  },
});
