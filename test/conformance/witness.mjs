import { appendFileSync } from "node:fs";
import { decodeRuleRecord, definePlugin, Lanes, ruleLane, Type, writeTypedJson } from "@heddle/plugin-sdk";

const reading = new WeakMap();

/** Writes down each message that the rule engine gets, one JSON line each, so that black-box tests can see events. */
export default definePlugin({
  name: "witness",
  version: "1.0.0",
  sdk: "^1.0",
  summary: "Writes rule messages to a file.",
  stability: "experimental",
  config: Type.Object({ file: Type.String() }, { additionalProperties: false }),
  requires: { lanes: Lanes },
  register() {},
  async start({ container, config, deps }) {
    const consumer = deps.lanes.consume(ruleLane, "witness", (_key, body) => {
      const { type, originator, metadata, data, ts } = decodeRuleRecord(body);
      const text = typeof data === "string" ? data : writeTypedJson(data);
      appendFileSync(config.file, `${JSON.stringify({ type, id: originator.id, metadata, ts, data: text })}\n`);
    });
    reading.set(container, consumer);
  },
  async stop({ container }) {
    await reading.get(container)?.[Symbol.asyncDispose]();
  },
});
