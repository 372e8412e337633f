import { Bytes, Duration, definePlugin, Log, provide, TimeseriesStore, Type, World } from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { SqliteTimeseries } from "./sqlite-timeseries.ts";

const stores = new WeakMap<object, SqliteTimeseries>();

export default definePlugin({
  name: "@heddle/ts-sqlite",
  sdk: "^1.0",
  stability: "beta",
  oneProcess: true,
  summary: "Time series in one SQLite file: a log row per commit, packed chunks of points, every commit synced.",
  config: Type.Object(
    {
      file: Type.String({ default: "./data/timeseries.db", description: "The database; its folder is made." }),
      batchBytes: Bytes({ default: "2MB", description: "Size of one commit; more begins the next." }),
      pendingBytes: Bytes({ default: "64MB", description: "What may wait for the disk before appends are refused." }),
      maxCalls: Type.Integer({ default: 10_000, minimum: 1, description: "Reads and removals that may wait at once." }),
      logPoints: Type.Integer({
        default: 300_000,
        minimum: 1000,
        description: "Points in memory and in the log before the oldest are packed; a start reads them again.",
      }),
      series: Type.Integer({ default: 1_000_000, minimum: 1000, description: "Series kept in memory." }),
      commitInterval: Duration({
        default: "8ms",
        description: "Commits begin at least so far apart; the first after a quiet time goes at once.",
      }),
      tidyMs: Duration({ default: "1s", description: "How often expired points are dropped." }),
      maxBytes: Type.Optional(Bytes({ description: "Size the file may have; appends beyond it are refused." })),
    },
    { additionalProperties: false },
  ),
  requires: { world: World, log: Log },
  provides: [TimeseriesStore],
  metrics: {
    commitSeconds: { kind: "histogram", unit: "s", help: "Time from sending a batch to its being durable." },
    batchPoints: {
      kind: "histogram",
      unit: "points",
      help: "Points of one commit.",
      buckets: [1, 10, 100, 1000, 10_000, 100_000],
    },
    pendingBytes: { kind: "gauge", unit: "bytes", help: "What waits for the disk." },
  },
  faults,
  register({ container, config, deps, metrics }) {
    provide(container, TimeseriesStore, () => {
      const store = new SqliteTimeseries(config, { world: deps.world, log: deps.log, metrics });
      stores.set(container, store);
      return store;
    });
  },
  health: ({ container }) => stores.get(container)?.health() ?? { state: "down", detail: "not started" },
});
