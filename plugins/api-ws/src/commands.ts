import { type EntityKey, Type } from "@heddle/plugin-sdk";
import { Ajv } from "ajv";

/** An old-style command (websocket 3.1). */
export interface SeriesCommand {
  readonly type: "TIMESERIES" | "ATTRIBUTES" | "TIMESERIES_HISTORY";
  readonly cmdId: number;
  readonly entityType: string;
  readonly entityId: string;
  /** Empty: all keys. */
  readonly keys: readonly string[];
  readonly scope: string;
  readonly startTs: number;
  readonly endTs: number;
  readonly timeWindow: number;
  readonly interval: number;
  readonly limit: number;
  readonly agg: string;
  readonly unsubscribe: boolean;
}

/** Counts what an entity query matches, now and when that changes (websocket 6). */
export interface CountCommand {
  readonly type: "ENTITY_COUNT";
  readonly cmdId: number;
  /** Checked where queries are run. */
  readonly query: unknown;
}

/** Series of a row's entity; with a window it goes on live (websocket 4.6, 4.7). */
export interface RowSeries {
  readonly keys: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly interval: number;
  readonly limit: number;
  readonly agg: string;
  readonly live: boolean;
}

/** A page of entities with values (websocket 4). */
export interface DataCommand {
  readonly type: "ENTITY_DATA";
  readonly cmdId: number;
  /** Absent: goes on with the entities that the command of this id has found. */
  readonly query: unknown;
  readonly latest: readonly EntityKey[] | undefined;
  readonly series: RowSeries | undefined;
  /** Parts that this server does not know. */
  readonly unknown: readonly string[];
}

export interface EndCommand {
  readonly type: "END";
  readonly cmdId: number;
}

/** A command of a later kind, which this server does not have yet. */
export interface OtherCommand {
  readonly type: "OTHER";
  readonly cmdId: number;
  readonly name: string;
}

export type Command = SeriesCommand | CountCommand | DataCommand | EndCommand | OtherCommand;

export interface Message {
  readonly auth: { readonly token?: string; readonly apiKey?: string } | undefined;
  readonly commands: readonly Command[];
}

const text = Type.Union([Type.String(), Type.Null()]);
const whole = Type.Union([Type.Integer(), Type.Null()]);
const series = {
  cmdId: Type.Integer(),
  entityType: Type.Optional(text),
  entityId: Type.Optional(text),
  keys: Type.Optional(text),
  scope: Type.Optional(text),
  startTs: Type.Optional(whole),
  endTs: Type.Optional(whole),
  timeWindow: Type.Optional(whole),
  interval: Type.Optional(whole),
  intervalType: Type.Optional(text),
  timeZoneId: Type.Optional(text),
  limit: Type.Optional(whole),
  agg: Type.Optional(text),
  unsubscribe: Type.Optional(Type.Boolean()),
};
const seriesTypes = ["TIMESERIES", "ATTRIBUTES", "TIMESERIES_HISTORY"] as const;
const otherTypes = [
  "ENTITY_COUNT",
  "ALARM_DATA",
  "ALARM_COUNT",
  "ALARM_STATUS",
  "NOTIFICATIONS",
  "NOTIFICATIONS_COUNT",
  "MARK_NOTIFICATIONS_AS_READ",
  "MARK_ALL_NOTIFICATIONS_AS_READ",
  "ENTITY_DATA_UNSUBSCRIBE",
  "ENTITY_COUNT_UNSUBSCRIBE",
  "ALARM_DATA_UNSUBSCRIBE",
  "ALARM_COUNT_UNSUBSCRIBE",
  "ALARM_STATUS_UNSUBSCRIBE",
  "NOTIFICATIONS_UNSUBSCRIBE",
];
const auth = Type.Object({
  cmdId: Type.Optional(Type.Integer()),
  type: Type.Optional(text),
  token: Type.Optional(text),
  apiKey: Type.Optional(text),
});
const other = Type.Object({ cmdId: Type.Integer() });
const keyTypes = [
  "TIME_SERIES",
  "ATTRIBUTE",
  "CLIENT_ATTRIBUTE",
  "SHARED_ATTRIBUTE",
  "SERVER_ATTRIBUTE",
  "ENTITY_FIELD",
];
const entityKey = Type.Object({ type: Type.String({ enum: keyTypes }), key: Type.String({ minLength: 1 }) });
const names = Type.Array(Type.String(), { maxItems: 200 });
const rowSeries = (more: object) =>
  Type.Optional(
    Type.Union([
      Type.Object({
        keys: names,
        startTs: Type.Integer(),
        ...more,
        interval: Type.Optional(whole),
        limit: Type.Optional(whole),
        agg: Type.Optional(text),
      }),
      Type.Null(),
    ]),
  );
const data = {
  cmdId: Type.Integer(),
  query: Type.Optional(Type.Unknown()),
  latestCmd: Type.Optional(Type.Union([Type.Object({ keys: Type.Array(entityKey, { maxItems: 200 }) }), Type.Null()])),
  tsCmd: rowSeries({ timeWindow: Type.Integer({ minimum: 0 }) }),
  historyCmd: rowSeries({ endTs: Type.Integer() }),
};
const list = (item: object) => Type.Optional(Type.Union([Type.Array(item as typeof other), Type.Null()]));
const strict = { additionalProperties: false };

const general = Type.Object(
  {
    authCmd: Type.Optional(Type.Union([auth, Type.Null()])),
    cmds: list(
      Type.Union([
        Type.Object({ ...series, type: Type.String({ enum: [...seriesTypes] }) }),
        Type.Object({ ...data, type: Type.Literal("ENTITY_DATA") }),
        Type.Object({ cmdId: Type.Integer(), type: Type.String({ enum: otherTypes }) }),
      ]),
    ),
  },
  strict,
);
/** Lists of the legacy telemetry wrapper in the order in which they are processed (websocket 2.4). */
const legacyLists = [
  ["attrSubCmds", "ATTRIBUTES"],
  ["tsSubCmds", "TIMESERIES"],
  ["historyCmds", "TIMESERIES_HISTORY"],
  ["entityDataCmds", "ENTITY_DATA"],
  ["alarmDataCmds", "ALARM_DATA"],
  ["entityCountCmds", "ENTITY_COUNT"],
  ["alarmCountCmds", "ALARM_COUNT"],
  ["entityDataUnsubscribeCmds", "ENTITY_DATA_UNSUBSCRIBE"],
  ["alarmDataUnsubscribeCmds", "ALARM_DATA_UNSUBSCRIBE"],
  ["entityCountUnsubscribeCmds", "ENTITY_COUNT_UNSUBSCRIBE"],
  ["alarmCountUnsubscribeCmds", "ALARM_COUNT_UNSUBSCRIBE"],
] as const;
const isSeries = (type: string): type is SeriesCommand["type"] => (seriesTypes as readonly string[]).includes(type);
const legacyTelemetry = Type.Object(
  Object.fromEntries(
    legacyLists.map(([name, type]) => [
      name,
      list(isSeries(type) ? Type.Object(series) : type === "ENTITY_DATA" ? Type.Object(data) : other),
    ]),
  ),
  strict,
);
const legacyNotifications = Type.Object(
  Object.fromEntries(
    ["unreadCountSubCmd", "unreadSubCmd", "markAsReadCmd", "markAllAsReadCmd", "unsubCmd"].map((name) => [
      name,
      Type.Optional(Type.Union([other, Type.Null()])),
    ]),
  ),
  strict,
);

const ajv = new Ajv({ allErrors: false, strict: false, code: { optimize: false } });
const isGeneral = ajv.compile(general);
const isLegacyTelemetry = ajv.compile(legacyTelemetry);
const isLegacyNotifications = ajv.compile(legacyNotifications);

export type Dialect = "general" | "telemetry" | "notifications";

/** Throws `SyntaxError` for what is not JSON or does not fit the wrapper. */
export function readMessage(dialect: Dialect, message: string): Message {
  const value: any = JSON.parse(message);
  switch (dialect) {
    case "general":
      if (!isGeneral(value as unknown)) throw new SyntaxError(ajv.errorsText(isGeneral.errors));
      return {
        auth: value.authCmd ?? undefined,
        commands: (value.cmds ?? []).map((cmd: any) => command(cmd.type, cmd)),
      };
    case "telemetry":
      if (!isLegacyTelemetry(value)) throw new SyntaxError(ajv.errorsText(isLegacyTelemetry.errors));
      return {
        auth: undefined,
        commands: legacyLists.flatMap(([name, type]) =>
          ((value as any)[name] ?? []).map((cmd: any) => command(type, cmd)),
        ),
      };
    case "notifications":
      if (!isLegacyNotifications(value)) throw new SyntaxError(ajv.errorsText(isLegacyNotifications.errors));
      return {
        auth: undefined,
        commands: Object.entries(value as object).flatMap(([name, cmd]) => (cmd ? [command(name, cmd)] : [])),
      };
  }
}

function command(type: string, raw: any): Command {
  if (type === "ENTITY_COUNT") return { type, cmdId: raw.cmdId, query: raw.query };
  if (type === "ENTITY_DATA") return dataCommand(raw);
  if (type === "ENTITY_COUNT_UNSUBSCRIBE" || type === "ENTITY_DATA_UNSUBSCRIBE")
    return { type: "END", cmdId: raw.cmdId };
  if (!isSeries(type)) return { type: "OTHER", cmdId: raw.cmdId, name: type };
  return {
    type,
    cmdId: raw.cmdId,
    entityType: raw.entityType ?? "",
    entityId: raw.entityId ?? "",
    keys: (raw.keys ?? "").split(",").filter((key: string) => key !== ""),
    scope: raw.scope ?? "",
    startTs: raw.startTs ?? 0,
    endTs: raw.endTs ?? 0,
    timeWindow: raw.timeWindow ?? 0,
    interval: raw.interval ?? 0,
    limit: raw.limit || 100,
    agg: raw.agg || "NONE",
    unsubscribe: raw.unsubscribe ?? false,
  };
}

function dataCommand(raw: any): DataCommand {
  const { cmdId, query, latestCmd, tsCmd, historyCmd } = raw;
  const part = tsCmd ?? historyCmd ?? undefined;
  return {
    type: "ENTITY_DATA",
    cmdId,
    query: query ?? undefined,
    latest: latestCmd?.keys,
    series: part && {
      keys: part.keys,
      from: part.startTs,
      to: tsCmd ? part.startTs + part.timeWindow : part.endTs,
      interval: part.interval ?? 0,
      limit: part.limit || 100,
      agg: part.agg || "NONE",
      live: Boolean(tsCmd),
    },
    unknown: ["aggTsCmd", "aggHistoryCmd"].filter((name) => raw[name]),
  };
}
