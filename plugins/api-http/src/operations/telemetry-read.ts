import {
  type Attribute,
  type Point,
  type Scope,
  type Static,
  scopes,
  Type,
  type Value,
  valueJson,
  valueText,
} from "@heddle/plugin-sdk";
import { type Answer, type Exchange, everyone, type Operation, operation } from "../operation.ts";
import type { Services } from "../services.ts";
import { type Subject, TelemetryAccess } from "../telemetry-access.ts";
import { KeysFields, keysOf, rangeOf, SeriesQuery, scopeOf } from "../telemetry-query.ts";

const entity = "/api/plugins/telemetry/:entityType/:entityId";
const Keys = Type.Object(KeysFields);

type History = Static<typeof SeriesQuery>;

/** Reading series and attributes (rest-semantics 8). */
export function telemetryReadOperations(services: Services): Operation[] {
  const { series, attributes, world } = services;
  const access = new TelemetryAccess(services);
  const find = ({ principal, param, call }: Exchange): Promise<Subject> =>
    access.subject(param("entityType"), { principal, id: param("entityId"), access: "read" }, call);

  async function latest({ query, call }: Exchange<unknown, History>, subject: Subject): Promise<Answer> {
    const wanted = keysOf(query as never);
    const points = await series.latest(subject.entity, wanted.length === 0 ? "all" : wanted, call);
    const byKey = new Map<string, Point>(points.map((point) => [point.key, point]));
    const keys = wanted.length === 0 ? [...byKey.keys()] : [...new Set(wanted)];
    const strict = query.useStrictDataTypes === true;
    const members = keys.map((key) => {
      const point = byKey.get(key);
      const text = point === undefined ? `{"ts":${world.now()},"value":null}` : pointText(point, strict);
      return `${JSON.stringify(key)}:[${text}]`;
    });
    return { raw: `{${members.join(",")}}` };
  }

  async function history(exchange: Exchange<unknown, History>, subject: Subject): Promise<Answer> {
    const { query, call } = exchange;
    const { startTs = 0, endTs = 0, useStrictDataTypes: strict = false } = query;
    const range = rangeOf({ ...query, startTs, endTs });
    const keys = [...new Set(keysOf(query as never))];
    if (keys.length === 0 || range.to <= range.from) return { raw: "{}" };
    const byKey = new Map<string, string[]>();
    for await (const points of series.range({ entity: subject.entity, keys, ...range }, call)) {
      for (const point of points) {
        const texts = byKey.get(point.key);
        if (texts === undefined) byKey.set(point.key, [pointText(point, strict)]);
        else texts.push(pointText(point, strict));
      }
    }
    const members = [...byKey].map(([key, texts]) => `${JSON.stringify(key)}:[${texts.join(",")}]`);
    return { raw: `{${members.join(",")}}` };
  }

  async function readAttributes(
    exchange: Exchange<unknown, Static<typeof Keys>>,
    from: readonly Scope[],
  ): Promise<Attribute[]> {
    const subject = await find(exchange);
    const keys = keysOf(exchange.query as never);
    const wanted = keys.length === 0 ? "all" : keys;
    const found = await Promise.all(from.map((scope) => attributes.get(subject.entity, scope, wanted, exchange.call)));
    return found.flat();
  }

  const attributeReads = (path: string, view: (found: Attribute[]) => string): Operation[] => [
    operation({
      method: "GET",
      path,
      who: everyone,
      query: Keys,
      run: async (exchange) => ({ raw: view(await readAttributes(exchange, scopes)) }),
    }),
    operation({
      method: "GET",
      path: `${path}/:scope`,
      who: everyone,
      query: Keys,
      run: async (exchange) => ({ raw: view(await readAttributes(exchange, [scopeOf(exchange.param("scope"))])) }),
    }),
  ];

  return [
    operation({
      method: "GET",
      path: `${entity}/values/timeseries`,
      who: everyone,
      query: SeriesQuery,
      run: async (exchange) => {
        const subject = await find(exchange);
        const { startTs, endTs } = exchange.query;
        return startTs === undefined || endTs === undefined ? latest(exchange, subject) : history(exchange, subject);
      },
    }),
    operation({
      method: "GET",
      path: `${entity}/values/timeseries/history`,
      who: everyone,
      query: Type.Composite([SeriesQuery, Type.Object({ startTs: Type.Integer(), endTs: Type.Integer() })]),
      run: async (exchange) => history(exchange as Exchange<unknown, History>, await find(exchange)),
    }),
    operation({
      method: "GET",
      path: `${entity}/keys/timeseries`,
      who: everyone,
      run: async (exchange) => {
        const subject = await find(exchange);
        const points = await series.latest(subject.entity, "all", exchange.call);
        return { json: points.map(({ key }) => key) };
      },
    }),
    ...attributeReads(`${entity}/values/attributes`, (found) => `[${found.map(attributeText).join(",")}]`),
    ...attributeReads(`${entity}/keys/attributes`, (found) => JSON.stringify(found.map(({ key }) => key))),
  ];
}

/** Values are texts unless native types are asked for (rest-semantics 8.7). */
function pointText({ ts, value }: { readonly ts: number; readonly value: Value }, strict: boolean): string {
  return `{"ts":${ts},"value":${strict ? valueJson(value) : JSON.stringify(valueText(value))}}`;
}

function attributeText({ key, value, lastUpdateTs }: Attribute): string {
  return `{"lastUpdateTs":${lastUpdateTs},"key":${JSON.stringify(key)},"value":${valueJson(value)}}`;
}
