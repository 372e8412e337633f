import { defineRuleNodePack } from "@heddle/plugin-sdk";
import { log } from "./log.ts";
import { messageTypeFilter, originatorTypeFilter } from "./message-type-filter.ts";
import { messageTypeSwitch } from "./message-type-switch.ts";
import { rpcReply } from "./rpc-reply.ts";
import { rpcRequest } from "./rpc-request.ts";
import { saveAttributes } from "./save-attributes.ts";
import { saveTimeSeries } from "./save-time-series.ts";

export default defineRuleNodePack({
  name: "@heddle/rule-nodes-core",
  sdk: "^1.0",
  summary: "The rule nodes of the default root chain, and their nearest relatives.",
  nodes: [
    messageTypeSwitch,
    messageTypeFilter,
    originatorTypeFilter,
    saveTimeSeries,
    saveAttributes,
    log,
    rpcRequest,
    rpcReply,
  ],
});
