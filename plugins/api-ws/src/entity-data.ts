import {
  type CallOptions,
  type EntityKey,
  type EntityKeyType,
  type EntityQueries,
  type EntityRow,
  type EntityRows,
  Fault,
  type Feed,
  type FeedInterest,
  type Feeds,
  type FeedUpdate,
  type Principal,
  type Scope,
  type ShownValue,
  scopes,
  type TimeseriesStore,
  valueText,
} from "@heddle/plugin-sdk";
import type { DataCommand, RowSeries } from "./commands.ts";
import { readRange } from "./reading.ts";

/** Rows of one command (websocket 4.3). */
export const allowedEntities = 10_000;
/** Rows whose values are read at the same time. */
const atOnce = 50;
/** Updates that wait while values are read. */
const mostHeld = 10_000;

export interface EntityDataOptions {
  readonly feeds: Feeds;
  readonly queries: EntityQueries;
  readonly series: TimeseriesStore;
  readonly principal: Principal;
  readonly mostWindows: number;
  readonly call: CallOptions;
  send(text: string): void;
  failed(error: unknown): void;
}

type Patch = { latest?: Record<string, Record<string, ShownValue>>; timeseries?: Record<string, SeriesPoint[]> };
interface SeriesPoint {
  readonly ts: number;
  readonly value: string;
  readonly count: number | null;
}

const scopeOf: Readonly<Partial<Record<EntityKeyType, Scope>>> = {
  CLIENT_ATTRIBUTE: "CLIENT_SCOPE",
  SHARED_ATTRIBUTE: "SHARED_SCOPE",
  SERVER_ATTRIBUTE: "SERVER_SCOPE",
};
const typeOf: Readonly<Record<Scope, EntityKeyType>> = {
  CLIENT_SCOPE: "CLIENT_ATTRIBUTE",
  SHARED_SCOPE: "SHARED_ATTRIBUTE",
  SERVER_SCOPE: "SERVER_ATTRIBUTE",
};

/** One ENTITY_DATA context: its entities, what is watched of them, and what was told last (websocket 4). */
export class EntityData {
  readonly #options: EntityDataOptions;
  readonly #cmdId: number;
  #rows: readonly EntityRow[] = [];
  #latest: readonly EntityKey[] = [];
  #live: readonly string[] = [];
  #feeds: Feed[] = [];
  /** Values told last, by entity, type and key. */
  readonly #told = new Map<string, ShownValue>();
  /** Commands of one context follow each other. */
  #turn: Promise<void> = Promise.resolve();
  /** Updates that wait while values are read. */
  #held: FeedUpdate[] | undefined;
  /** More came than may wait. */
  #missed = false;
  #closed = false;

  constructor(cmdId: number, options: EntityDataOptions) {
    this.#cmdId = cmdId;
    this.#options = options;
  }

  get rows(): number {
    return this.#rows.length;
  }

  run(command: DataCommand): Promise<void> {
    const step = this.#turn.then(() => this.#run(command));
    this.#turn = step.catch(reportedToTheCaller);
    return step;
  }

  close(): void {
    this.#closed = true;
    this.#unwatch();
  }

  async #run(command: DataCommand): Promise<void> {
    const { query, latest, series } = command;
    if (this.#closed) return;
    if (query === undefined && latest === undefined && series === undefined) return;
    this.#unwatch();
    const { queries, principal, call } = this.#options;
    const page =
      query === undefined ? undefined : await queries.find(query, principal, { ...call, also: latest ?? [] });
    if (page !== undefined) this.#rows = page.rows;
    this.#latest = latest ?? [];
    this.#live = series?.live === true ? series.keys : [];
    const lines = series === undefined ? new Map<string, Patch["timeseries"]>() : await this.#series(series);
    if (page !== undefined) this.#sendPage(page, lines);
    else if (series !== undefined) this.#sendUpdates((row) => ({ timeseries: lines.get(row.entity.id) ?? {} }));
    await this.#watch(page === undefined);
  }

  async #series({ keys, from, to, ...how }: RowSeries): Promise<Map<string, Record<string, SeriesPoint[]>>> {
    const { series, mostWindows, call } = this.#options;
    const lines = new Map<string, Record<string, SeriesPoint[]>>();
    const read = async ({ entity }: EntityRow) => {
      const points = await readRange(series, { entity, command: { keys, ...how }, from, to, mostWindows }, call);
      if (points === undefined)
        throw new Fault("invalid", "input.invalid", `more than ${mostWindows} windows; ask for longer intervals`);
      const line: Record<string, SeriesPoint[]> = Object.fromEntries(keys.map((key) => [key, []]));
      for (const { key, ts, value } of points)
        line[key]?.push({ ts, value: value === null ? "" : valueText(value), count: null });
      lines.set(entity.id, line);
    };
    for (let at = 0; at < this.#rows.length; at += atOnce)
      await Promise.all(this.#rows.slice(at, at + atOnce).map(read));
    return lines;
  }

  /** Watches first and reads once more then, so that nothing falls between the page and the first update. */
  async #watch(tell: boolean): Promise<void> {
    const { feeds, call } = this.#options;
    if (this.#closed || (this.#latest.length === 0 && this.#live.length === 0)) return;
    const on = { deliver: (update: FeedUpdate) => this.#take(update), resync: () => this.#resync() };
    this.#held = [];
    for (const { entity, tenantId } of this.#rows) {
      const interest = interestOf(this.#latest, this.#live);
      this.#feeds.push(feeds.subscribe({ ...interest, entity, tenantId } as FeedInterest, on, call));
    }
    const watched = this.#feeds;
    try {
      await Promise.all(watched.map(({ live }) => live));
    } catch (error) {
      // Ended meanwhile, by the client or by the next command.
      if (this.#closed || watched !== this.#feeds) return;
      throw error;
    }
    await this.#readAgain(tell);
  }

  #resync(): void {
    this.#held ??= [];
    this.#turn = this.#turn
      .then(() => this.#readAgain(false))
      .catch((error: unknown) => {
        if (!this.#closed) this.#options.failed(error);
      });
  }

  /** What comes while values are read waits for them: they may be from before it. */
  #take(update: FeedUpdate): void {
    if (this.#held === undefined) this.#news(update);
    else if (this.#held.length < mostHeld) this.#held.push(update);
    else this.#missed = true;
  }

  async #readAgain(all: boolean): Promise<void> {
    this.#held ??= [];
    try {
      do {
        this.#missed = false;
        await this.#readLatest(all);
      } while (this.#missed && !this.#closed);
    } finally {
      const held = this.#held;
      this.#held = undefined;
      for (const update of held) this.#news(update);
    }
  }

  /** Tells what has changed; with `all` everything. */
  async #readLatest(all: boolean): Promise<void> {
    if (this.#latest.length === 0) return;
    const { queries, principal, call } = this.#options;
    for (const entityType of new Set(this.#rows.map(({ entity }) => entity.entityType))) {
      const rows = this.#rows.filter(({ entity }) => entity.entityType === entityType);
      const entityFilter = { type: "entityList", entityType, entityList: rows.map(({ entity }) => entity.id) };
      const pageLink = { page: 0, pageSize: allowedEntities };
      const fresh = await queries.find({ entityFilter, pageLink, latestValues: this.#latest }, principal, call);
      if (this.#closed) return;
      const byId = new Map(fresh.rows.map((row) => [row.entity.id, row.latest]));
      this.#sendUpdates(({ entity }) => {
        if (entity.entityType !== entityType) return undefined;
        const latest = this.#newsOf(entity.id, byId.get(entity.id) ?? {}, all);
        return latest === undefined ? undefined : { latest };
      });
    }
  }

  #news({ entity, scope, changes }: FeedUpdate): void {
    const latest: Record<string, Record<string, ShownValue>> = {};
    const timeseries: Record<string, SeriesPoint[]> = {};
    for (const { key, ts, value } of changes) {
      const shown = { ts: value === null ? 0 : ts, value: value === null ? "" : valueText(value) };
      if (scope === undefined && value !== null && this.#live.includes(key))
        memberOf(timeseries, key, () => [] as SeriesPoint[]).push({ ...shown, count: null });
      for (const wanted of this.#latest) {
        const { type } = wanted;
        const matches = scope === undefined ? type === "TIME_SERIES" : type === typeOf[scope] || type === "ATTRIBUTE";
        if (wanted.key === key && matches)
          memberOf(latest, type, () => ({}) as Record<string, ShownValue>)[key] = shown;
      }
    }
    const told = this.#newsOf(entity.id, latest, false);
    const patch = {
      ...(told === undefined ? {} : { latest: told }),
      ...(Object.keys(timeseries).length === 0 ? {} : { timeseries }),
    };
    if (Object.keys(patch).length > 0) this.#send({ update: [{ entityId: entity, ...patch }] });
  }

  /** What is newer than, or other than, what was told; undefined when nothing is (websocket 4.5). */
  #newsOf(
    id: string,
    latest: EntityRow["latest"],
    all: boolean,
  ): Record<string, Record<string, ShownValue>> | undefined {
    const news: Record<string, Record<string, ShownValue>> = {};
    for (const [type, values] of Object.entries(latest)) {
      for (const [key, shown] of Object.entries(values ?? {})) {
        const name = `${id}/${type}/${key}`;
        const told = this.#told.get(name);
        const gone = shown.ts === 0 && shown.value === "";
        const known = told !== undefined && told.ts === shown.ts && told.value === shown.value;
        const older = told !== undefined && !gone && shown.ts < told.ts;
        if (!all && (known || older || type === "ENTITY_FIELD")) continue;
        this.#told.set(name, shown);
        memberOf(news, type, () => ({}) as Record<string, ShownValue>)[key] = shown;
      }
    }
    return Object.keys(news).length === 0 ? undefined : news;
  }

  #sendPage(
    { rows, totalPages, totalElements, hasNext }: EntityRows,
    lines: ReadonlyMap<string, Patch["timeseries"]>,
  ): void {
    this.#told.clear();
    const data = rows.map(({ entity, latest }) => {
      this.#newsOf(entity.id, latest, true);
      return { entityId: entity, latest, timeseries: lines.get(entity.id) ?? {}, aggLatest: {} };
    });
    this.#send({ data: { data, totalPages, totalElements, hasNext } });
  }

  #sendUpdates(patchOf: (row: EntityRow) => Patch | undefined): void {
    const update = this.#rows.flatMap((row) => {
      const patch = patchOf(row);
      return patch === undefined ? [] : [{ entityId: row.entity, ...patch }];
    });
    if (update.length > 0) this.#send({ update });
  }

  #send(parts: { readonly data?: object; readonly update?: readonly object[] }): void {
    if (this.#closed) return;
    const { data = null, update = null } = parts;
    const how = { errorCode: 0, errorMsg: null, allowedEntities, cmdUpdateType: "ENTITY_DATA" };
    this.#options.send(JSON.stringify({ cmdId: this.#cmdId, data, update, ...how }));
  }

  #unwatch(): void {
    const ended = this.#feeds;
    this.#feeds = [];
    for (const feed of ended)
      feed[Symbol.asyncDispose]().then(undefined, (error: unknown) => this.#options.failed(error));
  }
}

function interestOf(
  latest: readonly EntityKey[],
  live: readonly string[],
): Pick<FeedInterest, "series" | "attributes"> {
  const series = new Set(live);
  const attributes: Partial<Record<Scope, string[]>> = {};
  for (const { type, key } of latest) {
    if (type === "TIME_SERIES") series.add(key);
    const scope = scopeOf[type];
    for (const one of type === "ATTRIBUTE" ? scopes : scope === undefined ? [] : [scope])
      memberOf(attributes as Record<Scope, string[]>, one, () => []).push(key);
  }
  return { series: [...series], attributes };
}

/** The member, made when it is missing. */
function memberOf<T>(record: Record<string, T>, name: string, make: () => T): T {
  const value = record[name] ?? make();
  record[name] = value;
  return value;
}

function reportedToTheCaller(): void {}
