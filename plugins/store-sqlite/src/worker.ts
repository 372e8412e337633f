import { workerData } from "node:worker_threads";
import { type DatabaseSettings, filePlace, serve } from "@heddle/sqlite-driver/worker";
import { StoreEngine } from "./store-engine.ts";

export interface WorkerOptions extends DatabaseSettings {
  readonly file: string;
}

const options = workerData as WorkerOptions;
const engine = new StoreEngine(filePlace(options.file, options));

serve((requests) => engine.handle(requests));
