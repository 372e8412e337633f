import { openSync, writeSync } from "node:fs";
import { Cluster, decodeRuleRecord, definePlugin, Lanes, ruleLane, Type } from "@heddle/plugin-sdk";

/** Writes down what this node owns and which numbered messages the lane gives it, as a group of its own. */
export default definePlugin({
  name: "observer",
  sdk: "^1.0",
  summary: "Writes down partitions and messages for a test.",
  stability: "experimental",
  config: Type.Object({ file: Type.String() }),
  requires: { cluster: Cluster, lanes: Lanes },
  register() {},
  async start({ config, deps: { cluster, lanes } }) {
    const file = openSync(config.file, "a");
    const write = (line) => {
      const t = Number(process.hrtime.bigint()) / 1e6;
      writeSync(file, `${JSON.stringify({ t, node: cluster.self, ...line })}\n`);
    };
    cluster.onChange(({ epoch, gained, lost }) => {
      if (gained.length + lost.length > 0) write({ e: "moved", epoch, gained, lost });
    });
    lanes.consume(ruleLane, "observer", (key, body) => {
      const { n } = decodeRuleRecord(body).data ?? {};
      if (typeof n === "number") write({ e: "handled", key, partition: cluster.partitionOf(key), n });
    });
  },
});
