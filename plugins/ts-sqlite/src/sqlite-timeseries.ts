import type {
  CallOptions,
  EntityId,
  Health,
  Log,
  Metric,
  Point,
  RangeQuery,
  RemoveQuery,
  Sample,
  TimeseriesStore,
  WindowPoint,
  World,
} from "@heddle/plugin-sdk";
import { WorkerLink } from "@heddle/sqlite-driver";
import type { WindowPoint as StoredWindow } from "./aggregate.ts";
import { Appender } from "./appender.ts";
import { fault, faultOf } from "./faults.ts";
import type { PageAnswer, PageQuery } from "./reading.ts";
import type { Latest } from "./series.ts";
import { typedValue } from "./values.ts";
import type { WorkerOptions } from "./worker.ts";

export interface TimeseriesConfig {
  readonly file: string;
  readonly batchBytes: number;
  readonly pendingBytes: number;
  readonly maxCalls: number;
  readonly logPoints: number;
  readonly series: number;
  readonly tidyMs: number;
  /** Commits begin at least so far apart, ms. */
  readonly commitInterval: number;
  readonly maxBytes?: number;
}

export interface TimeseriesParts {
  readonly world: World;
  readonly log: Log;
  readonly metrics: Readonly<Record<"commitSeconds" | "batchPoints" | "pendingBytes", Metric>>;
}

const pageBytes = 4096;
/** Points of one page of a range. */
const pagePoints = 1000;

/** Time series in one SQLite file that a worker thread owns. */
export class SqliteTimeseries implements TimeseriesStore {
  readonly #config: TimeseriesConfig;
  readonly #parts: TimeseriesParts;
  #running: { readonly link: WorkerLink; readonly appender: Appender } | undefined;
  #tidy: Disposable | undefined;
  /** Why the last commit failed; undefined after one that did not. */
  #trouble: string | undefined;

  constructor(config: TimeseriesConfig, parts: TimeseriesParts) {
    this.#config = config;
    this.#parts = parts;
  }

  async start(signal: AbortSignal): Promise<void> {
    if (this.#running !== undefined) return;
    const { file, maxBytes = 0, logPoints, series, maxCalls, batchBytes, pendingBytes } = this.#config;
    const suffix = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const data: WorkerOptions = { file, logPoints, series, maxPages: Math.floor(maxBytes / pageBytes) };
    const link = await WorkerLink.open(
      {
        url: new URL(`./worker.${suffix}`, import.meta.url),
        data,
        maxCalls,
        world: this.#parts.world,
        fault: (trouble) => faultOf(trouble, file),
        greet: (call) => call("open", undefined),
        changed: (lost) => this.#changed(lost),
      },
      signal,
    );
    const appender = new Appender({
      batchBytes,
      pendingBytes,
      series,
      link,
      intervalMs: this.#config.commitInterval,
      pause: (ms) => new Promise((resolve) => void this.#parts.world.timer(ms, resolve)),
      elapsed: () => this.#parts.world.elapsed(),
      committed: (commit) => this.#committed(commit),
    });
    this.#running = { link, appender };
    this.#scheduleTidy(this.#config.tidyMs);
  }

  #changed(lost: string | undefined): void {
    const { log } = this.#parts;
    if (lost !== undefined) return log.error("time series were lost and will be opened again", { trouble: lost });
    log.info("time series are open again");
    this.#running?.appender.relink(fault("timeseries.unavailable", "its worker was lost meanwhile"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    this.#tidy?.[Symbol.dispose]();
    await running?.appender.idle();
    await running?.link.close();
  }

  health(): Health {
    if (this.#running === undefined) return { state: "down", detail: `${this.#config.file} is not open` };
    const lost = this.#running.link.lost;
    if (lost !== undefined) return { state: "down", detail: lost };
    return this.#trouble === undefined ? { state: "up" } : { state: "degraded", detail: this.#trouble };
  }

  append(samples: readonly Sample[], call: CallOptions & { readonly ttlMs?: number }): Promise<void> {
    if (call.signal.aborted) return Promise.reject(call.signal.reason);
    if (this.#running === undefined) return Promise.reject(this.#closed());
    return this.#running.appender.append(samples, call.ttlMs ?? 0);
  }

  async latest(entity: EntityId, keys: readonly string[] | "all", call: CallOptions): Promise<Point[]> {
    const query = { entityType: entity.entityType, entityId: entity.id, keys };
    const found = (await this.#link().call("latest", query, call.signal)) as { key: string; latest: Latest }[];
    return found.map(({ key, latest: { ts, kind, value } }) => ({ key, ts, value: typedValue(kind, value) }));
  }

  async *range(query: RangeQuery, call: CallOptions): AsyncIterable<readonly WindowPoint[]> {
    for (const key of query.keys) {
      if (query.aggregate === undefined) yield* this.#pages(query, key, call);
      else {
        const points = await this.#windows(query, key, call);
        if (points.length > 0) yield points;
      }
    }
  }

  async remove(query: RemoveQuery, call: CallOptions): Promise<void> {
    const { entity, ...rest } = query;
    await this.#link().call("remove", { ...rest, entityType: entity.entityType, entityId: entity.id }, call.signal);
  }

  async forget(entities: readonly EntityId[], call: CallOptions): Promise<void> {
    const plain = entities.map(({ entityType, id }) => ({ entityType, id }));
    await this.#link().call("forget", plain, call.signal);
  }

  async *#pages(query: RangeQuery, key: string, call: CallOptions): AsyncIterable<readonly WindowPoint[]> {
    const { entity, order } = query;
    let { from, to, limit: left } = query;
    const fixed = { entityType: entity.entityType, entityId: entity.id, key, order, now: this.#parts.world.now() };
    while (left > 0 && from < to) {
      const page: PageQuery = { ...fixed, from, to, limit: Math.min(left, pagePoints) };
      const found = (await this.#link().call("page", page, call.signal)) as PageAnswer;
      const count = found.ts.length;
      if (count > 0) yield found.ts.map((ts, at) => point(key, ts, found, at));
      if (!found.more) return;
      left -= count;
      const last = found.ts[count - 1] as number;
      if (order === "asc") from = last + 1;
      else to = last;
    }
  }

  async #windows({ entity, aggregate }: RangeQuery, key: string, call: CallOptions): Promise<WindowPoint[]> {
    const { fn, bounds = [] } = aggregate ?? {};
    if (bounds.some((bound, at) => at > 0 && bound <= (bounds[at - 1] as number))) {
      throw fault("timeseries.invalid", "the bounds of an aggregation must ascend");
    }
    const query = { entityType: entity.entityType, entityId: entity.id, key, fn, bounds, now: this.#parts.world.now() };
    const found = (await this.#link().call("aggregate", query, call.signal)) as StoredWindow[];
    return found.map(({ ts, kind, value, count }) => ({ key, ts, value: typedValue(kind, value), count }));
  }

  #link(): WorkerLink {
    if (this.#running === undefined) throw this.#closed();
    return this.#running.link;
  }

  #closed(): Error {
    return fault("timeseries.unavailable", `${this.#config.file} is not open`);
  }

  #committed({ seconds, points, error }: { seconds: number; points: number; error: unknown }): void {
    const { metrics } = this.#parts;
    metrics.commitSeconds.record(seconds);
    metrics.batchPoints.record(points);
    metrics.pendingBytes.record(this.#running?.appender.pendingBytes ?? 0);
    this.#settled(error === undefined ? undefined : (error as Error).message);
  }

  #settled(trouble: string | undefined): void {
    const { log } = this.#parts;
    if (trouble === undefined && this.#trouble !== undefined) log.info("time series are writable again");
    if (trouble !== undefined && this.#trouble === undefined) log.error("time series cannot be written", { trouble });
    this.#trouble = trouble;
  }

  #scheduleTidy(afterMs: number): void {
    this.#tidy = this.#parts.world.timer(afterMs, async () => {
      const running = this.#running;
      if (running === undefined) return;
      const more = await this.#tidyUp(running.link);
      if (this.#running === running) this.#scheduleTidy(more ? 0 : this.#config.tidyMs);
    });
  }

  /** Expired and forgotten points go in small steps, so that no commit waits long behind one. */
  async #tidyUp(link: WorkerLink): Promise<boolean> {
    try {
      // Its success is seen without an append.
      if (this.#trouble !== undefined) await link.call("probe", undefined).then(() => this.#settled(undefined), ignore);
      return (await link.call("tidy", this.#parts.world.now())) as boolean;
    } catch (error) {
      const trouble = (error as Error).message;
      // What cannot be written says so by itself.
      if (this.#trouble === undefined) this.#parts.log.warn("expired time series could not be dropped", { trouble });
      return false;
    }
  }
}

const ignore = (): undefined => undefined;

const point = (key: string, ts: number, page: PageAnswer, at: number): Point => ({
  key,
  ts,
  value: typedValue(page.kinds[at] as number, page.values[at] as number | string),
});
