import { defineRuleNode, Fault, Type } from "@heddle/plugin-sdk";
import { textOf } from "./values.ts";

const formatter =
  "return '\\nIncoming message:\\n' + JSON.stringify(msg) + '\\nIncoming metadata:\\n' + JSON.stringify(metadata);";

export const log = defineRuleNode({
  type: "org.thingsboard.rule.engine.action.TbLogNode",
  version: 0,
  category: "action",
  title: "log",
  summary: "Writes the message to the log.",
  relations: ["Success"],
  config: Type.Object({
    scriptLang: Type.String({ default: "TBEL" }),
    jsScript: Type.String({ default: formatter }),
    tbelScript: Type.String({ default: formatter }),
  }),
  create: ({ config, log, name }) => {
    const script = config.scriptLang === "JS" ? config.jsScript : config.tbelScript;
    if (script !== formatter) {
      throw new Fault(
        "invalid",
        "rule.script",
        "a script of its own needs a script engine, which this distribution does not have",
      );
    }
    return {
      onMsg(msg, turn) {
        log.info("rule message", { ruleNode: name, type: msg.type, message: textOf(msg), metadata: msg.metadata });
        return turn.to("Success", msg);
      },
    };
  },
});
