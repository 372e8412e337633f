import { defineRuleNodePack } from "@heddle/plugin-sdk";
import { coapRequest } from "./coap-request.ts";

export default defineRuleNodePack({
  name: "@heddle/rule-nodes-external",
  sdk: "^1.0",
  summary: "Rule nodes that call other systems.",
  nodes: [coapRequest],
});
