import {
  Fault,
  invalid,
  type Plain,
  type Principal,
  type RpcCall,
  type RpcDocument,
  type RpcOutcome,
  readTypedJson,
  type Stored,
  Type,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { deviceFor } from "../access.ts";
import {
  type Answer,
  type Exchange,
  everyone,
  forbidden,
  notFound,
  type Operation,
  operation,
  tenantAndCustomer,
  tenantOnly,
} from "../operation.ts";
import { PageFields, pageOf, viewPage } from "../paging.ts";
import type { Services } from "../services.ts";
import { TelemetryAccess } from "../telemetry-access.ts";
import { checkBody } from "../validation.ts";

/** rest-semantics 9.1. */
const shortestTimeoutMs = 5_000;
const defaultTimeoutMs = 10_000;

const Call = Type.Object({
  method: Type.String({ minLength: 1, maxLength: 255 }),
  timeout: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  expirationTime: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  persistent: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  retries: Type.Optional(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])),
});
const statuses = ["QUEUED", "SENT", "DELIVERED", "SUCCESSFUL", "TIMEOUT", "EXPIRED", "FAILED", "DELETED"] as const;
const rules = { search: [], sort: { createdTime: "createdTime", expirationTime: "expirationTime", status: "status" } };

/** What callers of the first API expect; those of the second get 504 for all of it (rest-semantics 9.2). */
const firstApi: Readonly<Record<NonNullable<RpcOutcome["error"]>, number>> = {
  NO_ACTIVE_CONNECTION: 409,
  TIMEOUT: 408,
  INTERNAL: 500,
  NOT_FOUND: 404,
};

/** Calls to devices (rest-semantics 9). */
export function rpcOperations(services: Services): Operation[] {
  const { control, registry, world } = services;
  const access = new TelemetryAccess(services);

  async function request(
    exchange: Exchange,
    how: { readonly oneway: boolean; readonly first: boolean },
  ): Promise<Answer> {
    const { principal, param, call } = exchange;
    const subject = await access.subject("DEVICE", { principal, id: param("deviceId"), access: "write" }, call);
    const rpc = callOf(exchange.body as string, { ...how, now: world.now(), id: world.uuid() });
    const outcome = await control.request({ ...rpc, tenantId: subject.tenantId, deviceId: subject.entity.id }, call);
    if (outcome.error !== undefined) {
      const code = firstApi[outcome.error];
      return { status: how.first || code === 500 || code === 404 ? code : 504 };
    }
    if (rpc.persistent) return { json: { rpcId: rpc.id } };
    if (how.oneway || outcome.response === undefined) return {};
    return isJson(outcome.response) ? { raw: outcome.response } : { status: 406 };
  }

  const calls = (["oneway", "twoway"] as const).flatMap((kind) =>
    [true, false].map((first) =>
      operation({
        method: "POST",
        path: `/api/${first ? "plugins/rpc" : "rpc"}/${kind}/:deviceId`,
        who: everyone,
        untimed: true,
        run: (exchange) => request(exchange, { oneway: kind === "oneway", first }),
      }),
    ),
  );
  const rpcFor = async ({ principal, id, call }: Exchange): Promise<Stored<RpcDocument>> => {
    const rpc = await registry.rpcs.get(id("rpcId"), call);
    if (rpc === undefined) throw notFound("Rpc", id("rpcId"));
    if (!(await mayRead(principal, rpc.value, call))) throw forbidden();
    return rpc;
  };
  const mayRead = async (principal: Principal, rpc: RpcDocument, call: { signal: AbortSignal }): Promise<boolean> => {
    if (rpc.tenantId !== principal.tenantId) return false;
    if (principal.authority === "TENANT_ADMIN") return true;
    await deviceFor(services, { principal, id: rpc.deviceId, wanted: "read" }, call);
    return true;
  };
  return [
    ...calls,
    operation({
      method: "GET",
      path: "/api/rpc/persistent/:rpcId",
      who: tenantAndCustomer,
      run: async (exchange) => ({ json: rpcView(await rpcFor(exchange)) }),
    }),
    operation({
      method: "DELETE",
      path: "/api/rpc/persistent/:rpcId",
      who: tenantOnly,
      run: async (exchange) => {
        await registry.removeRpc((await rpcFor(exchange)).value.id, exchange.call);
        return undefined;
      },
    }),
    operation({
      method: "GET",
      path: "/api/rpc/persistent/device/:deviceId",
      who: everyone,
      query: Type.Object({
        ...PageFields,
        rpcStatus: Type.Optional(Type.Union(statuses.map((name) => Type.Literal(name)))),
      }),
      run: async ({ principal, param, query, call }) => {
        const { rpcStatus } = query;
        if (rpcStatus === "DELETED") throw invalid("RpcStatus: DELETED");
        const subject = await access.subject("DEVICE", { principal, id: param("deviceId"), access: "read" }, call);
        const page = pageOf(query, rules);
        const where = { deviceId: subject.entity.id, ...(rpcStatus === undefined ? {} : { status: rpcStatus }) };
        return { json: viewPage(await registry.rpcs.find({ ...page, where }, call), page, rpcView) };
      },
    }),
  ];
}

function callOf(
  text: string,
  how: { readonly oneway: boolean; readonly now: number; readonly id: string },
): Omit<RpcCall, "tenantId" | "deviceId"> {
  let body: Plain;
  try {
    body = readTypedJson(text);
  } catch (cause) {
    throw new Fault("invalid", "api.json", "Invalid request body", { cause });
  }
  checkBody(Call, body);
  const { method, params, timeout, expirationTime, persistent, retries, additionalInfo } = body as {
    readonly method: string;
    readonly params?: Plain;
    readonly timeout?: number | null;
    readonly expirationTime?: number | null;
    readonly persistent?: boolean | null;
    readonly retries?: number | null;
    readonly additionalInfo?: Plain;
  };
  return {
    id: how.id,
    method,
    params: writeTypedJson(params ?? null),
    oneway: how.oneway,
    persistent: persistent ?? false,
    expiresAt: expirationTime ?? how.now + Math.max(timeout ?? defaultTimeoutMs, shortestTimeoutMs),
    ...(retries === undefined || retries === null ? {} : { retries }),
    ...(additionalInfo === undefined || additionalInfo === null
      ? {}
      : { additionalInfo: writeTypedJson(additionalInfo) }),
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // The device answered something else.
    return false;
  }
}

function rpcView({ value }: Stored<RpcDocument>) {
  const { id, createdTime, expirationTime, status } = value;
  const tenantId = { entityType: "TENANT", id: value.tenantId };
  const deviceId = { entityType: "DEVICE", id: value.deviceId };
  const { oneway, method, params, retries = null } = JSON.parse(value.request) as RpcCall;
  const request = {
    id,
    tenantId,
    deviceId,
    oneway,
    expirationTime,
    body: { method, params },
    persisted: true,
    retries,
  };
  const response = value.response === null ? null : readTypedJson(value.response);
  const additionalInfo = value.additionalInfo === null ? null : readTypedJson(value.additionalInfo);
  return {
    id: { entityType: "RPC", id },
    createdTime,
    tenantId,
    deviceId,
    expirationTime,
    request,
    response,
    status,
    additionalInfo,
  };
}
