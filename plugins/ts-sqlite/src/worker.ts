import { workerData } from "node:worker_threads";
import { closeDatabase, openDatabase, type Request, serve } from "@heddle/sqlite-driver/worker";
import { type Batch, Engine, type EngineLimits, type Removal } from "./engine.ts";
import { type AggregateQuery, type PageQuery, readAggregate, readLatest, readPage } from "./reading.ts";

export interface WorkerOptions extends EngineLimits {
  readonly file: string;
  /** Pages the file may have; 0 for no bound. */
  readonly maxPages: number;
}

const options = workerData as WorkerOptions;

const ready = openDatabase(options.file).then((database) => {
  if (options.maxPages > 0) database.exec(`PRAGMA max_page_count = ${options.maxPages}`);
  const engine = new Engine(database, options);
  const operations: Record<string, (arg: never) => unknown> = {
    open: () => ({ logPoints: engine.catalog.count }),
    append: (batch: Batch) => engine.append(batch),
    latest: (query: Parameters<typeof readLatest>[1]) => readLatest(engine, query),
    page: (query: PageQuery) => readPage(engine, query),
    aggregate: (query: AggregateQuery) => readAggregate(engine, query),
    remove: (removal: Removal) => engine.remove(removal),
    forget: (entities: Parameters<Engine["forget"]>[0]) => engine.forget(entities),
    tidy: (now: number) => engine.tidy(now),
    close: () => closeDatabase(database),
  };
  return operations;
});
ready.catch(() => undefined);

async function answer(request: Request): Promise<void> {
  try {
    const operations = await ready;
    request.reply(await operations[request.op]?.(request.arg as never));
  } catch (error) {
    request.fail(error);
  }
}

serve((requests) => {
  for (const request of requests) void answer(request);
});
