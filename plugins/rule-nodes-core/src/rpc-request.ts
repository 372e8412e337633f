import {
  DeviceControl,
  defineRuleNode,
  encodeMsg,
  entityKey,
  Fault,
  Lanes,
  Log,
  type Msg,
  type Plain,
  type RpcCall,
  type RpcOutcome,
  ruleLane,
  Type,
  World,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { isObject } from "./values.ts";

/** The call may end a little later than it expires; what comes after is not waited for. */
const graceMs = 1_000;
/** Calls on their way from one node; more take Failure. */
const mostOpen = 10_000;

export const rpcRequest = defineRuleNode({
  type: "org.thingsboard.rule.engine.rpc.TbSendRPCRequestNode",
  version: 0,
  category: "action",
  title: "rpc call request",
  summary: "Calls the originating device; the answer goes on as a new message.",
  relations: ["Success"],
  config: Type.Object({ timeoutInSeconds: Type.Integer({ default: 60, minimum: 0 }) }),
  requires: { control: DeviceControl, lanes: Lanes, world: World, log: Log },
  create: ({ config, deps, tenantId, ruleChainId, ruleNodeId }) => {
    const closed = new AbortController();
    let open = 0;
    const run = async (msg: Msg, call: RpcCall) => {
      const limit = new AbortController();
      const wait = Math.max(0, call.expiresAt - deps.world.now()) + graceMs;
      const timer = deps.world.timer(wait, () =>
        limit.abort(new Fault("unavailable", "rpc.expired", "the call has expired")),
      );
      const signal = AbortSignal.any([limit.signal, closed.signal]);
      const outcome = await deps.control
        .send(call, { signal })
        .catch((): RpcOutcome => ({ error: limit.signal.aborted ? "TIMEOUT" : "INTERNAL" }));
      timer[Symbol.dispose]();
      const origin = msg.metadata["originServiceId"];
      if (origin !== undefined && origin !== "") deps.control.settle({ node: origin, id: call.id }, outcome);
      const next: Msg = {
        ...msg,
        id: deps.world.uuid(),
        ts: deps.world.now(),
        ...bodyOf(outcome),
        ruleChainId,
        ruleNodeId,
        relations: [outcome.error === undefined ? "Success" : "Failure"],
      };
      await deps.lanes.publish(ruleLane, entityKey(tenantId, msg.originator), encodeMsg(next), closed);
    };
    return {
      /** The input is done at once: a device may take its time (rule-engine 4.4). */
      onMsg(msg) {
        const call = callOf(msg, {
          expiresAt: deps.world.now() + config.timeoutInSeconds * 1_000,
          id: () => deps.world.uuid(),
        });
        if (open >= mostOpen)
          throw new Fault(
            "exhausted",
            "rpc.open",
            `${mostOpen} calls of this node are on their way, no more are taken`,
          );
        open++;
        run(msg, call)
          .catch((error) => deps.log.warn("outcome of an rpc not published", { rpc: call.id, error }))
          .finally(() => open--);
      },
      async [Symbol.asyncDispose]() {
        closed.abort(new Fault("unavailable", "rpc.stopped", "the rule node has stopped"));
      },
    };
  },
});

function callOf(msg: Msg, fallback: { readonly expiresAt: number; id(): string }): RpcCall {
  if (msg.originator.entityType !== "DEVICE")
    throw new Fault("invalid", "rule.originator", "Message originator is not a device entity!");
  if (!isObject(msg.data) || msg.data["method"] === undefined)
    throw new Fault("invalid", "rule.body", "Method is not present in the message!");
  const { method, params, additionalInfo } = msg.data;
  if (params === undefined) throw new Fault("invalid", "rule.body", "Params are not present in the message!");
  const { metadata, tenantId } = msg;
  const expiresAt = Number(metadata["expirationTime"] ?? Number.NaN);
  const retries = Number(metadata["retries"] ?? Number.NaN);
  const info: Plain = additionalInfo ?? null;
  return {
    tenantId,
    deviceId: msg.originator.id,
    id: metadata["requestUUID"] ?? fallback.id(),
    method: String(method),
    params: typeof params === "string" ? params : writeTypedJson(params),
    oneway: metadata["oneway"] === "true",
    persistent: metadata["persistent"] === "true",
    expiresAt: Number.isFinite(expiresAt) ? expiresAt : fallback.expiresAt,
    ...(Number.isInteger(retries) ? { retries } : {}),
    ...(info === null ? {} : { additionalInfo: typeof info === "string" ? info : writeTypedJson(info) }),
  };
}

/** Text that is not JSON goes on as text. */
function bodyOf({ response, error }: RpcOutcome): Pick<Msg, "data" | "dataType"> {
  if (error !== undefined) return { data: { error }, dataType: "JSON" };
  if (response === undefined || response === "") return { data: {}, dataType: "JSON" };
  try {
    return { data: JSON.parse(response) as Plain, dataType: "JSON" };
  } catch {
    return { data: response, dataType: "TEXT" };
  }
}
