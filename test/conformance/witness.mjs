import { appendFileSync } from "node:fs";
import {
  DeviceControl,
  decodeRuleRecord,
  definePlugin,
  Lanes,
  ruleLane,
  Type,
  writeTypedJson,
} from "@heddle/plugin-sdk";

const reading = new WeakMap();

/**
 * Writes down each message that the rule engine gets, one JSON line each, so that black-box tests can see events. Answers
 * devices' calls of the method `echo` with their params, as a chain with the node "rpc call reply" would.
 */
export default definePlugin({
  name: "witness",
  version: "1.0.0",
  sdk: "^1.0",
  summary: "Writes rule messages to a file.",
  stability: "experimental",
  config: Type.Object({ file: Type.String() }, { additionalProperties: false }),
  requires: { lanes: Lanes, control: DeviceControl },
  register() {},
  async start({ container, config, deps }) {
    const consumer = deps.lanes.consume(ruleLane, "witness", (_key, body) => {
      const { type, originator, metadata, data, ts } = decodeRuleRecord(body);
      const text = typeof data === "string" ? data : writeTypedJson(data);
      if (type === "TO_SERVER_RPC_REQUEST" && data.method === "echo") {
        const { serviceId: node, sessionId, requestId } = metadata;
        deps.control.reply({ node, sessionId, requestId: Number(requestId) }, JSON.stringify(data.params));
      }
      appendFileSync(config.file, `${JSON.stringify({ type, id: originator.id, metadata, ts, data: text })}\n`);
    });
    reading.set(container, consumer);
  },
  async stop({ container }) {
    await reading.get(container)?.[Symbol.asyncDispose]();
  },
});
