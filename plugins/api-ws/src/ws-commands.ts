import {
  type AttributeStore,
  asFault,
  type EntityId,
  type EntityQueries,
  type EntityStore,
  Fault,
  type FeedInterest,
  type Feeds,
  type Log,
  type Principal,
  type Scope,
  type TimeseriesStore,
  type World,
} from "@heddle/plugin-sdk";
import { accessTo } from "./access.ts";
import { errorCodes, errorText, queryErrorText, type Shown, updateText } from "./answers.ts";
import type { Command, CountCommand, DataCommand, SeriesCommand } from "./commands.ts";
import { EntityCount } from "./entity-count.ts";
import { allowedEntities, EntityData } from "./entity-data.ts";
import { type LiveOptions, LiveSubscription } from "./live-subscription.ts";
import { readAttributes, readRange, scopesOf } from "./reading.ts";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const entityTypes = new Set(
  "TENANT CUSTOMER USER DASHBOARD ASSET DEVICE ALARM RULE_CHAIN RULE_NODE ENTITY_VIEW TENANT_PROFILE DEVICE_PROFILE ASSET_PROFILE API_USAGE_STATE TB_RESOURCE OTA_PACKAGE EDGE RPC QUEUE QUEUE_STATS".split(
    " ",
  ),
);

export interface CommandDeps {
  readonly world: World;
  readonly log: Log;
  readonly feeds: Feeds;
  readonly queries: EntityQueries;
  readonly entities: EntityStore;
  readonly series: TimeseriesStore;
  readonly attributes: AttributeStore;
}

export interface CommandOptions {
  readonly principal: Principal;
  readonly signal: AbortSignal;
  readonly mostWindows: number;
  readonly mostSubscriptions: number;
  /** How often numbers of entities are looked at again. */
  readonly refreshMs: number;
  send(text: string): void;
  tooMany(): void;
}

/** The commands of one connection, and its live subscriptions. */
export class WsCommands {
  readonly #deps: CommandDeps;
  readonly #options: CommandOptions;
  /** By command id, which the kinds of commands share. */
  readonly #live = new Map<number, LiveSubscription | EntityCount | EntityData>();

  constructor(deps: CommandDeps, options: CommandOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Begins a command; commands of a connection begin in the order in which they came. */
  run(command: Command): void {
    const { cmdId } = command;
    if (cmdId < 0) return this.#refuse(cmdId, errorCodes.badRequest, "Cmd id is negative value!");
    if (command.type === "OTHER") {
      if (!command.name.includes("UNSUB") && !command.name.startsWith("unsub")) {
        this.#refuse(cmdId, errorCodes.badRequest, `${command.name} is not among the commands of this server`);
      }
      return;
    }
    if (command.type === "END") return this.#end(cmdId);
    if (command.type === "ENTITY_COUNT" || command.type === "ENTITY_DATA") {
      const work = command.type === "ENTITY_COUNT" ? this.#count(command) : this.#data(command);
      work.catch((error) => this.#queryFailed(command, error));
      return;
    }
    if (command.unsubscribe) return this.#unsubscribe(command);
    const problem = problemOf(command);
    if (problem !== undefined) return this.#refuse(cmdId, problem.code, problem.message);
    const entity = { entityType: command.entityType, id: command.entityId.toLowerCase() };
    this.#work(command, entity).catch((error) => this.#failed(command, error));
  }

  async #work(command: SeriesCommand, entity: EntityId): Promise<void> {
    switch (command.type) {
      case "TIMESERIES_HISTORY":
        return this.#history(command, entity);
      case "TIMESERIES":
        return this.#series(command, entity);
      case "ATTRIBUTES":
        return this.#attributes(command, entity);
    }
  }

  async #history(command: SeriesCommand, entity: EntityId): Promise<void> {
    if ((await this.#tenant(command, entity)) === undefined) return;
    const { startTs: from, endTs: to } = command;
    const points = await this.#range(command, entity, { from, to });
    if (points !== undefined) this.#options.send(updateText(command.cmdId, points));
  }

  #range(
    command: SeriesCommand,
    entity: EntityId,
    { from, to }: { from: number; to: number },
  ): Promise<Shown[] | undefined> {
    const { series } = this.#deps;
    return readRange(series, { entity, command, from, to, mostWindows: this.#options.mostWindows }, this.#options);
  }

  async #series(command: SeriesCommand, entity: EntityId): Promise<void> {
    const { keys, timeWindow, startTs } = command;
    const windowed = timeWindow > 0;
    const read = async (): Promise<readonly Shown[]> => {
      const found = await this.#deps.series.latest(entity, keys.length === 0 ? "all" : keys, this.#options);
      const have = new Set(found.map(({ key }) => key));
      const now = this.#deps.world.now();
      return [...found, ...keys.filter((key) => !have.has(key)).map((key) => ({ key, ts: now, value: null }))];
    };
    const first = windowed ? () => this.#range(command, entity, { from: startTs, to: startTs + timeWindow }) : read;
    const live = this.#begin(command, { what: windowed ? "window" : "latest", read });
    const tenantId = await this.#tenant(command, entity, live);
    if (tenantId === undefined) return;
    await this.#follow(live, { tenantId, entity, series: keys.length === 0 ? "all" : keys }, first);
  }

  async #attributes(command: SeriesCommand, entity: EntityId): Promise<void> {
    // A scope that does not exist gets no answer at all: what the reference does, and clients know.
    const scopes = scopesOf(command.scope);
    if (scopes === undefined) return;
    const { keys } = command;
    const read = () => readAttributes(this.#deps.attributes, { entity, scopes, keys }, this.#options);
    const live = this.#begin(command, { what: "attributes", read });
    const tenantId = await this.#tenant(command, entity, live);
    if (tenantId === undefined) return;
    const wanted = keys.length === 0 ? ("all" as const) : keys;
    const attributes = Object.fromEntries(scopes.map((scope) => [scope, wanted])) as Record<Scope, typeof wanted>;
    await this.#follow(live, { tenantId, entity, attributes }, read);
  }

  #count(command: CountCommand): Promise<void> {
    const { world, queries, log } = this.#deps;
    const { principal, signal, refreshMs, send } = this.#options;
    const known = this.#live.get(command.cmdId);
    if (known instanceof EntityCount) return known.ask(command.query);
    const failed = (error: unknown) => log.warn("entities not counted", { error });
    const count = new EntityCount(command, { world, queries, principal, refreshMs, call: { signal }, send, failed });
    this.#keep(command.cmdId, count);
    return count.ask();
  }

  async #data(command: DataCommand): Promise<void> {
    const { feeds, queries, series, log } = this.#deps;
    const { principal, signal, mostWindows, send } = this.#options;
    const { cmdId, unknown } = command;
    if (unknown.length > 0) throw refusal(`${unknown.join(", ")}: not among the commands of this server`);
    let data = this.#live.get(cmdId);
    if (!(data instanceof EntityData)) {
      if (command.query === undefined) throw refusal("Query is empty!");
      const failed = (error: unknown) => log.warn("entities not watched", { error });
      data = new EntityData(cmdId, { feeds, queries, series, principal, mostWindows, call: { signal }, send, failed });
      this.#keep(cmdId, data);
    }
    await data.run(command);
    let rows = 0;
    for (const live of this.#live.values()) if (live instanceof EntityData) rows += live.rows;
    if (rows > allowedEntities) this.#options.tooMany();
  }

  #queryFailed(command: CountCommand | DataCommand, error: unknown): void {
    if (this.#options.signal.aborted) return;
    const { kind, message } = asFault(error);
    const bad = kind === "invalid";
    if (!bad) this.#deps.log.warn("entity query failed", { error });
    const text = bad ? message : "Failed to run the query!";
    this.#options.send(queryErrorText(command, bad ? errorCodes.badRequest : errorCodes.internal, text));
  }

  #keep(cmdId: number, live: LiveSubscription | EntityCount | EntityData): void {
    this.#live.get(cmdId)?.close();
    this.#live.set(cmdId, live);
    if (this.#live.size > this.#options.mostSubscriptions) this.#options.tooMany();
  }

  #begin({ cmdId }: SeriesCommand, how: Pick<LiveOptions, "what" | "read">): LiveSubscription {
    const { log } = this.#deps;
    const live = new LiveSubscription({
      ...how,
      send: (points) => this.#options.send(updateText(cmdId, points)),
      failed: (error) => log.warn("live subscription failed", { error }),
    });
    this.#keep(cmdId, live);
    return live;
  }

  async #follow(
    live: LiveSubscription,
    interest: FeedInterest,
    first: () => Promise<readonly Shown[] | undefined>,
  ): Promise<void> {
    const feed = this.#deps.feeds.subscribe(
      interest,
      { deliver: (update) => live.deliver(update), resync: () => live.resync() },
      this.#options,
    );
    live.attach(feed);
    try {
      await feed.live;
      const points = await first();
      if (points === undefined) live.close();
      else live.begin(points);
    } catch (error) {
      // Ended meanwhile by the client: nobody waits for an answer, and its id may be another's already.
      if (!live.closed) throw error;
    }
  }

  /** Undefined, and an error was sent, when the caller may not read the entity. */
  async #tenant(command: SeriesCommand, entity: EntityId, live?: LiveSubscription): Promise<string | undefined> {
    const access = await accessTo(this.#deps.entities, { principal: this.#options.principal, entity }, this.#options);
    if (typeof access === "object") return access.tenantId;
    live?.close();
    if (this.#live.get(command.cmdId) === live) this.#live.delete(command.cmdId);
    if (command.type !== "ATTRIBUTES") this.#refuse(command.cmdId, errorCodes.internal, "Failed to fetch data!");
    else if (access === "denied") this.#refuse(command.cmdId, errorCodes.unauthorized, "Unauthorized");
    // What does not exist has no attributes.
    else this.#options.send(updateText(command.cmdId, []));
    return undefined;
  }

  #unsubscribe({ cmdId, entityId }: SeriesCommand): void {
    if (entityId === "") return this.close();
    this.#end(cmdId);
  }

  #end(cmdId: number): void {
    this.#live.get(cmdId)?.close();
    this.#live.delete(cmdId);
  }

  #failed({ cmdId, type }: SeriesCommand, error: unknown): void {
    if (this.#options.signal.aborted) return;
    this.#deps.log.warn("websocket command failed", { type, error });
    this.#end(cmdId);
    const what = type === "ATTRIBUTES" ? "attributes" : type === "TIMESERIES" ? "data" : "historical data";
    this.#refuse(cmdId, errorCodes.internal, `Failed to fetch ${what}!`);
  }

  #refuse(cmdId: number, code: number, message: string): void {
    this.#options.send(errorText(cmdId, code, message));
  }

  close(): void {
    for (const live of this.#live.values()) live.close();
    this.#live.clear();
  }
}

const refusal = (message: string) => new Fault("invalid", "input.invalid", message);

function problemOf(command: SeriesCommand): { code: number; message: string } | undefined {
  const { type, entityType, entityId, keys } = command;
  if (type === "TIMESERIES_HISTORY" && entityId === "")
    return { code: errorCodes.badRequest, message: "Device id is empty!" };
  if (type === "TIMESERIES_HISTORY" && keys.length === 0)
    return { code: errorCodes.badRequest, message: "Keys are empty!" };
  if (!entityTypes.has(entityType))
    return { code: errorCodes.internal, message: `There is no entity type ${entityType.slice(0, 40)}` };
  if (!uuid.test(entityId))
    return { code: errorCodes.internal, message: `Invalid UUID string: ${entityId.slice(0, 80)}` };
  return undefined;
}
