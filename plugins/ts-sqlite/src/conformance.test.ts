import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeTimeseriesStore, realWorld, silentLog } from "@heddle/plugin-sdk/testing";
import { SqliteTimeseries, type TimeseriesConfig } from "./sqlite-timeseries.ts";

const metric = { record: () => undefined };
const parts = {
  world: realWorld(),
  log: silentLog,
  metrics: { commitSeconds: metric, batchPoints: metric, pendingBytes: metric },
};

async function open(config: TimeseriesConfig): Promise<SqliteTimeseries> {
  const store = new SqliteTimeseries(config, parts);
  await store.start(new AbortController().signal);
  return store;
}

/** A small log makes points go into chunks early; a large one leaves them to the replay. */
function describeWith(name: string, logPoints: number): void {
  describeTimeseriesStore(name, {
    supports: { survivesRestart: true },
    create: async () => {
      const folder = await mkdtemp(join(tmpdir(), "heddle-ts-"));
      const config: TimeseriesConfig = {
        file: join(folder, "new", "timeseries.db"),
        batchBytes: 1 << 20,
        pendingBytes: 1 << 24,
        maxCalls: 1000,
        series: 1000,
        tidyMs: 20,
        commitInterval: 0,
        logPoints,
      };
      let store = await open(config);
      return {
        store,
        reopen: async () => {
          await store[Symbol.asyncDispose]();
          store = await open(config);
          return store;
        },
        [Symbol.asyncDispose]: async () => {
          await store[Symbol.asyncDispose]();
          await rm(folder, { recursive: true });
        },
      };
    },
  });
}

describeWith("ts-sqlite, most points in the log", 1_000_000);
describeWith("ts-sqlite, most points in chunks", 1);
