import { type CallOptions, Fault, publishEntityEvent, type Scope, Type, writeTypedJson } from "@heddle/plugin-sdk";
import { type Exchange, everyone, type Operation, operation, plainFault } from "../operation.ts";
import type { Services } from "../services.ts";
import { type Subject, TelemetryAccess } from "../telemetry-access.ts";
import { readAttributes, readRows } from "../telemetry-body.ts";
import { KeysFields, keysOf, scopeOf } from "../telemetry-query.ts";

const root = "/api/plugins/telemetry";
const entity = `${root}/:entityType/:entityId`;
const dayMs = 86_400_000;

const RemoveSeries = Type.Object({
  ...KeysFields,
  deleteAllDataForKeys: Type.Optional(Type.Boolean()),
  startTs: Type.Optional(Type.Integer()),
  endTs: Type.Optional(Type.Integer()),
  deleteLatest: Type.Optional(Type.Boolean()),
  rewriteLatestIfDeleted: Type.Optional(Type.Boolean()),
});
const Keys = Type.Object(KeysFields);

/** Writing and deleting series and attributes (rest-semantics 8). */
export function telemetryWriteOperations(services: Services): Operation[] {
  const { telemetry, world } = services;
  const access = new TelemetryAccess(services);
  const find = ({ principal, param, call }: Exchange): Promise<Subject> => {
    const what = { principal, id: param("entityId"), access: "write" as const };
    return access.subject(param("entityType") || "DEVICE", what, call);
  };
  const tell = (
    { principal, call }: Exchange,
    subject: Subject,
    event: { readonly type: string; readonly data: string; readonly metadata?: Readonly<Record<string, string>> },
  ): Promise<void> => {
    const { tenantId, entity: originator, name: entityName, customerId, ruleChainId } = subject;
    return publishEntityEvent(
      services,
      { ...event, tenantId, originator, entityName, customerId, ruleChainId, by: principal },
      call,
    );
  };

  async function saveSeries(exchange: Exchange, ttlSeconds: number | undefined): Promise<undefined> {
    const subject = await find(exchange);
    const rows = readRows(exchange.body as string, world.now());
    const ttlMs =
      ttlSeconds === undefined ? await defaultTtl(services, subject.tenantId, exchange.call) : ttlSeconds * 1_000;
    const samples = rows.map(({ ts, values }) => ({ entity: subject.entity, ts, values }));
    await telemetry.save(subject.tenantId, samples, { ...exchange.call, ...(ttlMs > 0 ? { ttlMs } : {}) });
    const list = rows.map(({ ts, values }) => `{"ts":${ts},"values":${writeTypedJson(values)}}`);
    await tell(exchange, subject, { type: "TIMESERIES_UPDATED", data: `{"timeseries":[${list.join(",")}]}` });
    return undefined;
  }

  async function saveAttributes(exchange: Exchange): Promise<undefined> {
    const scope = scopeOf(exchange.param("scope"));
    if (scope === "CLIENT_SCOPE") throw plainFault("invalid", "Invalid scope: CLIENT_SCOPE");
    const subject = await find(exchange);
    const values = readAttributes(exchange.body as string);
    const { tenantId } = subject;
    await telemetry.saveAttributes(
      { tenantId, entity: subject.entity, scope, values, notifyDevice: true },
      exchange.call,
    );
    await tell(exchange, subject, { type: "ATTRIBUTES_UPDATED", data: writeTypedJson(values), metadata: { scope } });
    return undefined;
  }

  async function removeAttributes(exchange: Exchange<unknown, Record<string, string>>): Promise<undefined> {
    const scope: Scope = scopeOf(exchange.param("scope"));
    const keys = keysOf(exchange.query);
    const subject = await find(exchange);
    if (keys.length === 0) throw plainFault("invalid", "Empty keys: []");
    const { tenantId } = subject;
    await telemetry.removeAttributes(
      { tenantId, entity: subject.entity, scope, keys, notifyDevice: true },
      exchange.call,
    );
    const data = JSON.stringify({ attributes: keys });
    await tell(exchange, subject, { type: "ATTRIBUTES_DELETED", data, metadata: { scope } });
    return undefined;
  }

  const attributePaths = [`${entity}/:scope`, `${entity}/attributes/:scope`, `${root}/:entityId/:scope`];
  return [
    operation({
      method: "POST",
      path: `${entity}/timeseries/:scope`,
      who: everyone,
      run: (exchange) => saveSeries(exchange, undefined),
    }),
    operation({
      method: "POST",
      path: `${entity}/timeseries/:scope/:ttl`,
      who: everyone,
      run: (exchange) => {
        const ttl = exchange.param("ttl");
        if (!/^\d{1,12}$/.test(ttl))
          throw new Fault("invalid", "api.query", `'ttl' is a number of seconds, not '${ttl.slice(0, 40)}'`);
        return saveSeries(exchange, Number(ttl));
      },
    }),
    operation({
      method: "DELETE",
      path: `${entity}/timeseries/delete`,
      who: everyone,
      query: RemoveSeries,
      run: async (exchange) => {
        const { query, call } = exchange;
        const keys = keysOf(query);
        const subject = await find(exchange);
        if (keys.length === 0) throw plainFault("invalid", "Empty keys: []");
        const all = query.deleteAllDataForKeys === true;
        const startTs = all ? 0 : query.startTs;
        const endTs = all ? world.now() : query.endTs;
        if (startTs === undefined || endTs === undefined) {
          const text = "When deleteAllDataForKeys is false, start and end timestamp values shouldn't be empty";
          throw plainFault("invalid", text);
        }
        const latest =
          query.rewriteLatestIfDeleted === true ? "rewrite" : query.deleteLatest === false ? "keep" : "remove";
        const what = { entity: subject.entity, keys, from: startTs, to: endTs, latest } as const;
        await telemetry.remove(subject.tenantId, what, call);
        const data = JSON.stringify({ timeseries: keys, startTs, endTs });
        await tell(exchange, subject, { type: "TIMESERIES_DELETED", data });
        return undefined;
      },
    }),
    ...attributePaths.flatMap((path) => [
      operation({ method: "POST", path, who: everyone, run: saveAttributes }),
      operation({
        method: "DELETE",
        path,
        who: everyone,
        query: Keys,
        run: (exchange) => removeAttributes(exchange as never),
      }),
    ]),
  ];
}

/** How long the tenant's profile keeps series, in ms; 0 is for ever. */
async function defaultTtl({ directory }: Services, tenantId: string, call: CallOptions): Promise<number> {
  const tenant = await directory.tenants.get(tenantId, call);
  if (tenant === undefined) return 0;
  const profile = await directory.tenantProfiles.get(tenant.value.tenantProfileId, call);
  const configuration = profile?.value.profileData["configuration"] as
    | { readonly defaultStorageTtlDays?: number }
    | undefined;
  return (configuration?.defaultStorageTtlDays ?? 0) * dayMs;
}
