import type { Log } from "@heddle/plugin-sdk";
import { realWorld } from "@heddle/plugin-sdk/testing";
import kafkajs from "kafkajs";
import { expect, it } from "vitest";
import { driverLog } from "./driver-log.ts";

it("the driver's log is told in our levels, once a minute, without what may hold a payload", () => {
  const lines: unknown[] = [];
  const say = (level: string) => (message: string, fields?: object) => void lines.push([level, message, fields]);
  const log: Log = { child: () => log, debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  let now = 0;
  const write = driverLog(log, { ...realWorld(), elapsed: () => now })(kafkajs.logLevel.WARN);
  const entry = (label: string, message: string, more: object = {}) =>
    write({ namespace: "Connection", level: 1, label, log: { timestamp: "", message, ...more } });
  entry("ERROR", "Connection error", { broker: "h:1", payload: "secret" });
  entry("ERROR", "Connection error", { broker: "h:1" });
  entry("ERROR", "Connection error", { broker: "h:1" });
  entry("WARN", "minor");
  now = 61_000;
  entry("ERROR", "Connection error", { broker: "h:2" });
  const says = "Connection error";
  expect(lines).toEqual([
    ["warn", "kafka driver", { says, part: "Connection", broker: "h:1" }],
    ["debug", "minor", { part: "Connection" }],
    ["warn", "kafka driver", { says, part: "Connection", broker: "h:2", heldBack: 2 }],
  ]);
});
