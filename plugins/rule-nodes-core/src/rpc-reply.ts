import { DeviceControl, defineRuleNode, Fault, type Msg, Type } from "@heddle/plugin-sdk";
import { isEmpty, isObject, textOf } from "./values.ts";

export const rpcReply = defineRuleNode({
  type: "org.thingsboard.rule.engine.rpc.TbSendRPCReplyNode",
  version: 0,
  category: "action",
  title: "rpc call reply",
  summary: "Answers the call that a device made.",
  relations: ["Success"],
  config: Type.Object({
    serviceIdMetaDataAttribute: Type.String({ default: "serviceId" }),
    sessionIdMetaDataAttribute: Type.String({ default: "sessionId" }),
    requestIdMetaDataAttribute: Type.String({ default: "requestId" }),
  }),
  requires: { control: DeviceControl },
  create: ({ config, deps }) => ({
    onMsg(msg, turn) {
      if (msg.originator.entityType !== "DEVICE")
        throw new Fault("invalid", "rule.originator", "Message originator is not a device entity!");
      const requestId = Number(field(msg, config.requestIdMetaDataAttribute, "Request id"));
      const node = field(msg, config.serviceIdMetaDataAttribute, "Service id");
      const sessionId = field(msg, config.sessionIdMetaDataAttribute, "Session id");
      const text = textOf(msg);
      if (text === "" || (isObject(msg.data) && isEmpty(msg.data)))
        throw new Fault("invalid", "rule.body", "Request body is empty!");
      deps.control.reply({ node, sessionId, requestId }, text);
      return turn.to("Success", msg);
    },
  }),
});

function field(msg: Msg, name: string, what: string): string {
  const value = msg.metadata[name];
  if (value === undefined || value === "")
    throw new Fault("invalid", "rule.metadata", `${what} is not present in the metadata!`);
  return value;
}
