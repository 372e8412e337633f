import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAttributeStore, describeEntityStore, realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { SqliteAttributes } from "./sqlite-attributes.ts";
import { SqliteEntities } from "./sqlite-entities.ts";
import { type StoreConfig, StoreFile } from "./store-file.ts";

const metric = { record: () => undefined };
const parts = {
  world: realWorld(),
  log: silentLog,
  metrics: { commitSeconds: metric, batchWrites: metric, waitingCalls: metric },
};

/** Either store on a file of its own. */
function kit<S extends AsyncDisposable>(make: (file: StoreFile) => S & { start(signal: AbortSignal): Promise<void> }) {
  return {
    supports: { survivesRestart: true },
    create: async () => {
      const folder = await mkdtemp(join(tmpdir(), "heddle-store-"));
      const config: StoreConfig = { file: join(folder, "new", "entities.db"), maxCalls: 1000, cacheBytes: 10_000 };
      const open = async () => {
        const store = make(new StoreFile(config, parts));
        await store.start(new AbortController().signal);
        return store;
      };
      let store = await open();
      return {
        store: store as S,
        reopen: async () => {
          await store[Symbol.asyncDispose]();
          store = await open();
          return store as S;
        },
        [Symbol.asyncDispose]: async () => {
          await store[Symbol.asyncDispose]();
          await rm(folder, { recursive: true });
        },
      };
    },
  };
}

describeEntityStore(
  "store-sqlite",
  kit((file) => new SqliteEntities(file)),
);
describeAttributeStore(
  "store-sqlite",
  kit((file) => new SqliteAttributes(file)),
);
