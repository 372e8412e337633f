import { defineRuleNode, Type } from "@heddle/plugin-sdk";

export const messageTypeFilter = defineRuleNode({
  type: "org.thingsboard.rule.engine.filter.TbMsgTypeFilterNode",
  version: 0,
  category: "filter",
  title: "message type filter",
  summary: "Lets the listed message types pass.",
  relations: ["True", "False"],
  config: Type.Object({
    messageTypes: Type.Array(Type.String(), {
      default: ["POST_ATTRIBUTES_REQUEST", "POST_TELEMETRY_REQUEST", "TO_SERVER_RPC_REQUEST"],
      description: "Exact names; custom types are allowed.",
    }),
  }),
  create: ({ config }) => {
    const wanted = new Set(config.messageTypes);
    return { onMsg: (msg, turn) => turn.to(wanted.has(msg.type) ? "True" : "False", msg) };
  },
});

export const originatorTypeFilter = defineRuleNode({
  type: "org.thingsboard.rule.engine.filter.TbOriginatorTypeFilterNode",
  version: 0,
  category: "filter",
  title: "entity type filter",
  summary: "Lets messages about the listed types of entities pass.",
  relations: ["True", "False"],
  config: Type.Object({ originatorTypes: Type.Array(Type.String(), { default: ["DEVICE"] }) }),
  create: ({ config }) => {
    const wanted = new Set(config.originatorTypes);
    return { onMsg: (msg, turn) => turn.to(wanted.has(msg.originator.entityType) ? "True" : "False", msg) };
  },
});
