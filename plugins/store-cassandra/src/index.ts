import { CassandraSession, sessionFields, sessionMetrics } from "@heddle/cassandra-driver";
import { AttributeStore, definePlugin, EntityStore, Log, provide, Type, World } from "@heddle/plugin-sdk";
import { CassandraAttributes } from "./cassandra-attributes.ts";
import { CassandraEntities } from "./cassandra-entities.ts";
import { faults } from "./faults.ts";
import { schema } from "./tables.ts";

const sessions = new WeakMap<object, CassandraSession>();

export default definePlugin({
  name: "@heddle/store-cassandra",
  sdk: "^1.0",
  stability: "beta",
  summary: "Entities and attributes in Cassandra, by conditional writes and index tables of its own.",
  config: Type.Object(
    {
      ...sessionFields,
      maxScan: Type.Integer({
        default: 100_000,
        minimum: 1,
        description: "Documents that one query may look at; beyond it is refused with store.query-too-broad.",
      }),
    },
    { additionalProperties: false },
  ),
  requires: { world: World, log: Log },
  provides: [EntityStore, AttributeStore],
  metrics: sessionMetrics,
  faults,
  register({ container, config, deps, metrics }) {
    const session = () => {
      const parts = { world: deps.world, log: deps.log, metrics };
      const made = sessions.get(container) ?? new CassandraSession(config, parts, schema);
      sessions.set(container, made);
      return made;
    };
    provide(container, EntityStore, () => new CassandraEntities(session(), config.maxScan));
    provide(container, AttributeStore, () => new CassandraAttributes(session()));
  },
  health: ({ container }) => sessions.get(container)?.health() ?? { state: "down", detail: "not started" },
});
