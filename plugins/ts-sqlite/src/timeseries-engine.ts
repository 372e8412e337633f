import { asInterrupted, type DatabasePlace, LiveDatabase, type Request } from "@heddle/sqlite-driver/worker";
import type { SeriesName } from "./catalog.ts";
import { type Batch, Engine, type EngineLimits, type Removal } from "./engine.ts";
import { type AggregateQuery, type PageQuery, readAggregate, readLatest, readPage } from "./reading.ts";

type Operations = Readonly<Record<string, (arg: never) => unknown>>;

/** The calls of the main thread, on an engine that is made anew after its disk has failed. */
export class TimeseriesEngine {
  readonly #live: LiveDatabase<Engine>;
  readonly #operations: Operations;
  /** What the main thread's link numbers stand for; known whether or not the disk works. */
  readonly #names: SeriesName[] = [];

  constructor(place: DatabasePlace, limits: EngineLimits) {
    const live = new LiveDatabase(place, (database) => new Engine(database, limits, this.#names));
    this.#live = live;
    this.#operations = {
      open: () => live.read((engine) => ({ logPoints: engine.catalog.count })),
      append: (batch: Batch) => this.#append(batch),
      latest: (query: Parameters<typeof readLatest>[1]) => live.read((engine) => readLatest(engine, query)),
      page: (query: PageQuery) => live.read((engine) => readPage(engine, query)),
      aggregate: (query: AggregateQuery) => this.#aggregate(query),
      remove: (removal: Removal) => live.write((engine) => engine.remove(removal)),
      forget: (entities: Parameters<Engine["forget"]>[0]) => live.write((engine) => engine.forget(entities)),
      tidy: (now: number) => live.write((engine) => engine.tidy(now)),
      probe: () => live.write((engine) => engine.probe()),
      close: () => live.close(),
    };
  }

  async answer(request: Request): Promise<void> {
    try {
      const run = this.#operations[request.op];
      if (run === undefined) throw new Error(`there is no operation ${request.op}`);
      const value = run(request.arg as never);
      request.reply(value instanceof Promise ? await value : value);
    } catch (error) {
      request.fail(error);
    }
  }

  #append(batch: Batch): void {
    if (batch.reset) {
      this.#names.length = 0;
      this.#live.opened?.catalog.unlink();
    }
    const { defines } = batch;
    for (let at = 0; at < defines.length; at += 3)
      this.#names.push([defines[at], defines[at + 1], defines[at + 2]] as unknown as SeriesName);
    this.#live.write((engine) => engine.append(batch));
  }

  async #aggregate(query: AggregateQuery): Promise<unknown> {
    const { engine } = this.#live;
    try {
      return await readAggregate(engine, query);
    } catch (error) {
      throw this.#live.opened === engine ? error : asInterrupted(error);
    }
  }
}
