import {
  dataTs,
  defineRuleNode,
  Fault,
  type Msg,
  type Plain,
  type Sample,
  Telemetry,
  Type,
  World,
} from "@heddle/plugin-sdk";
import { isEmpty, isObject, textOf, valuesOf } from "./values.ts";

export const saveTimeSeries = defineRuleNode({
  type: "org.thingsboard.rule.engine.telemetry.TbMsgTimeseriesNode",
  version: 1,
  category: "action",
  title: "save time series",
  summary: "Stores the values of the message as time series of its originator.",
  relations: ["Success"],
  config: Type.Object({
    defaultTTL: Type.Integer({
      default: 0,
      minimum: 0,
      description: "Seconds until the values may be dropped; 0 keeps them.",
    }),
    useServerTs: Type.Boolean({ default: false, description: "Stamp values with the time of saving." }),
    processingSettings: Type.Object(
      { type: Type.Literal("ON_EVERY_MESSAGE") },
      { default: { type: "ON_EVERY_MESSAGE" } },
    ),
  }),
  requires: { telemetry: Telemetry, world: World },
  migrate: {
    0: (old) => {
      const { skipLatestPersistence, ...rest } = old as Record<string, Plain>;
      if (skipLatestPersistence === true)
        throw new Fault("invalid", "rule.config", "skipping the latest value is not supported");
      return { ...rest, processingSettings: { type: "ON_EVERY_MESSAGE" } };
    },
  },
  create: ({ config, deps }) => ({
    onMsg(msg, turn) {
      if (msg.type !== "POST_TELEMETRY_REQUEST")
        throw new Fault("invalid", "rule.message-type", `Unsupported msg type: ${msg.type}`);
      const samples = samplesOf(msg, config.useServerTs ? deps.world.now() : undefined);
      if (samples.length === 0) throw new Fault("invalid", "rule.empty", `Msg body is empty: ${textOf(msg)}`);
      const ttlMs = ttlOf(msg, config.defaultTTL) * 1_000;
      const call = ttlMs > 0 ? { signal: turn.signal, ttlMs } : turn;
      return deps.telemetry.save(msg.tenantId, samples, call).then(() => turn.to("Success", msg));
    },
  }),
});

/** Flat bodies at the message's time, `{ts, values}` at its own, and arrays of both (runtime 12.2). */
function samplesOf(msg: Msg, serverTs: number | undefined): Sample[] {
  const { data } = msg;
  const items = Array.isArray(data) ? (data as readonly Plain[]) : [data];
  const samples: Sample[] = [];
  for (const item of items) {
    const timed = isObject(item) && "ts" in item && "values" in item;
    const values = valuesOf(timed ? item["values"] : item);
    if (isEmpty(values)) continue;
    const ts = serverTs ?? (timed ? Number(item["ts"]) : dataTs(msg));
    samples.push({ entity: msg.originator, ts, values });
  }
  return samples;
}

function ttlOf(msg: Msg, fallback: number): number {
  const ttl = Number(msg.metadata["TTL"] ?? 0);
  return Number.isFinite(ttl) && ttl > 0 ? ttl : fallback;
}
