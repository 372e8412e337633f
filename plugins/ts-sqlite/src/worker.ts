import { workerData } from "node:worker_threads";
import { type DatabaseSettings, filePlace, serve } from "@heddle/sqlite-driver/worker";
import type { EngineLimits } from "./engine.ts";
import { TimeseriesEngine } from "./timeseries-engine.ts";

export interface WorkerOptions extends EngineLimits, DatabaseSettings {
  readonly file: string;
}

const options = workerData as WorkerOptions;
const engine = new TimeseriesEngine(filePlace(options.file, options), options);

serve((requests) => {
  for (const request of requests) void engine.answer(request);
});
