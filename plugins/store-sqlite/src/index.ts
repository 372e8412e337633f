import { AttributeStore, Bytes, definePlugin, EntityStore, Log, provide, Type, World } from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { SqliteAttributes } from "./sqlite-attributes.ts";
import { SqliteEntities } from "./sqlite-entities.ts";
import { StoreFile } from "./store-file.ts";

const files = new WeakMap<object, StoreFile>();

export default definePlugin({
  name: "@heddle/store-sqlite",
  sdk: "^1.0",
  stability: "beta",
  oneProcess: true,
  summary: "Entities and attributes in one SQLite file; writes that arrive together share a synced commit.",
  config: Type.Object(
    {
      file: Type.String({ default: "./data/entities.db", description: "The database; its folder is made." }),
      maxCalls: Type.Integer({ default: 10_000, minimum: 1, description: "Calls that may wait at once." }),
      cacheBytes: Bytes({ default: "8MB", description: "Recently read documents of each collection in memory." }),
      maxBytes: Type.Optional(Bytes({ description: "Size the file may have; writes beyond it are refused." })),
    },
    { additionalProperties: false },
  ),
  requires: { world: World, log: Log },
  provides: [EntityStore, AttributeStore],
  metrics: {
    commitSeconds: { kind: "histogram", unit: "s", help: "Time of one transaction." },
    batchWrites: { kind: "histogram", unit: "writes", help: "Writes of one transaction.", buckets: [1, 10, 100, 1000] },
    waitingCalls: { kind: "gauge", unit: "calls", help: "Calls without an answer." },
  },
  faults,
  register({ container, config, deps, metrics }) {
    const file = () => {
      const made = files.get(container) ?? new StoreFile(config, { world: deps.world, log: deps.log, metrics });
      files.set(container, made);
      return made;
    };
    provide(container, EntityStore, () => new SqliteEntities(file()));
    provide(container, AttributeStore, () => new SqliteAttributes(file()));
  },
  health: ({ container }) => files.get(container)?.health() ?? { state: "down", detail: "not started" },
});
