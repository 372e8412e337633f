import { sessionFields, sessionMetrics } from "@heddle/cassandra-driver";
import { Duration, definePlugin, Log, provide, TimeseriesStore, Type, World } from "@heddle/plugin-sdk";
import { bucketSizes } from "./buckets.ts";
import { CassandraTimeseries } from "./cassandra-timeseries.ts";
import { faults } from "./faults.ts";

const stores = new WeakMap<object, CassandraTimeseries>();

export default definePlugin({
  name: "@heddle/ts-cassandra",
  sdk: "^1.0",
  stability: "beta",
  summary: "Time series in Cassandra: time-bucketed partitions, latest values beside them, exact aggregates.",
  config: Type.Object(
    {
      ...sessionFields,
      bucket: Type.Union(
        bucketSizes.map((size) => Type.Literal(size)),
        { default: "MONTHS", description: "Period of one partition, in UTC; fixed for the life of the data." },
      ),
      ttl: Type.Optional(Duration({ description: "Longest life of a point, from its time; absent: for ever." })),
      knownSeries: Type.Integer({
        default: 200_000,
        minimum: 1_000,
        description: "Series whose buckets and latest times are remembered; others cost a read when they come again.",
      }),
    },
    { additionalProperties: false },
  ),
  requires: { world: World, log: Log },
  provides: [TimeseriesStore],
  metrics: sessionMetrics,
  faults,
  register({ container, config, deps, metrics }) {
    provide(container, TimeseriesStore, () => {
      const store = new CassandraTimeseries(config, { world: deps.world, log: deps.log, metrics });
      stores.set(container, store);
      return store;
    });
  },
  health: ({ container }) => stores.get(container)?.health() ?? { state: "down", detail: "not started" },
});
