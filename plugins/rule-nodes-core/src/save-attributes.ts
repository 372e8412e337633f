import {
  AttributeStore,
  defineRuleNode,
  Fault,
  Lanes,
  type Msg,
  type Plain,
  publishRuleEvent,
  type Scope,
  scopes,
  Telemetry,
  Type,
  type Value,
  valueText,
  valueType,
  World,
} from "@heddle/plugin-sdk";
import { isEmpty, textOf, valuesOf } from "./values.ts";

const processing = { type: "ON_EVERY_MESSAGE" } as const;
const truth = (value: Plain, fallback: boolean) =>
  value === true || value === "true" ? true : value === false || value === "false" ? false : fallback;

export const saveAttributes = defineRuleNode({
  type: "org.thingsboard.rule.engine.telemetry.TbMsgAttributesNode",
  version: 3,
  category: "action",
  title: "save attributes",
  summary: "Stores the values of the message as attributes of its originator.",
  relations: ["Success"],
  config: Type.Object({
    processingSettings: Type.Object({ type: Type.Literal("ON_EVERY_MESSAGE") }, { default: processing }),
    scope: Type.String({ default: "SERVER_SCOPE", enum: [...scopes] }),
    notifyDevice: Type.Boolean({ default: false, description: "Push shared attributes to the device." }),
    sendAttributesUpdatedNotification: Type.Boolean({
      default: false,
      description: "Tell the rule engine, except of client attributes.",
    }),
    updateAttributesOnlyOnValueChange: Type.Boolean({ default: true, description: "Leave equal values alone." }),
  }),
  requires: { telemetry: Telemetry, attributes: AttributeStore, lanes: Lanes, world: World },
  migrate: {
    0: (old) => ({ ...(old as object), updateAttributesOnlyOnValueChange: false }),
    1: (old) => {
      const config = old as Record<string, Plain>;
      return {
        ...config,
        notifyDevice: truth(config["notifyDevice"], true),
        sendAttributesUpdatedNotification: truth(config["sendAttributesUpdatedNotification"], false),
        updateAttributesOnlyOnValueChange: truth(config["updateAttributesOnlyOnValueChange"], true),
      };
    },
    2: (old) => ({ ...(old as object), processingSettings: processing }),
  },
  create: ({ config, deps }) => ({
    async onMsg(msg, turn) {
      if (msg.type !== "POST_ATTRIBUTES_REQUEST")
        throw new Fault("invalid", "rule.message-type", `Unsupported msg type: ${msg.type}`);
      const scope = scopeOf(msg, config.scope);
      let values = valuesOf(msg.data);
      if (config.updateAttributesOnlyOnValueChange && !isEmpty(values)) {
        const stored = await deps.attributes.get(msg.originator, scope, Object.keys(values), turn);
        values = changed(values, new Map(stored.map(({ key, value }) => [key, value])));
      }
      if (isEmpty(values)) return turn.to("Success", msg);
      const { tenantId, originator: entity } = msg;
      await deps.telemetry.saveAttributes(
        { tenantId, entity, scope, values, notifyDevice: notifies(msg, config.notifyDevice) },
        turn,
      );
      if (config.sendAttributesUpdatedNotification && scope !== "CLIENT_SCOPE") {
        const event = {
          tenantId,
          type: "ATTRIBUTES_UPDATED",
          originator: entity,
          metadata: { ...msg.metadata, scope },
          data: textOf(msg),
        };
        await publishRuleEvent(deps, event, turn);
      }
      return turn.to("Success", msg);
    },
  }),
});

function scopeOf(msg: Msg, fallback: string): Scope {
  const scope = (msg.metadata["scope"] ?? fallback) as Scope;
  if (!scopes.includes(scope))
    throw new Fault("invalid", "rule.scope", `attribute scope ${scope} is none of ${scopes.join(", ")}`);
  return scope;
}

function notifies(msg: Msg, configured: boolean): boolean {
  const wish = msg.metadata["notifyDevice"];
  return configured || wish === undefined || wish === "" || wish === "true";
}

function changed(values: Record<string, Value>, stored: ReadonlyMap<string, Value>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(values).filter(([key, value]) => {
      const before = stored.get(key);
      return before === undefined || valueType(before) !== valueType(value) || valueText(before) !== valueText(value);
    }),
  );
}
