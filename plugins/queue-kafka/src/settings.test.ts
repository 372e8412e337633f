import { configOf } from "@heddle/plugin-sdk/testing";
import { expect, it } from "vitest";
import card from "./index.ts";
import { brokerList, Names } from "./settings.ts";

it("brokers may be given one by one or as a list in one text", () => {
  expect(brokerList(["a:1, b:2", "c:3,"])).toEqual(["a:1", "b:2", "c:3"]);
});

it("passwords and keys are secrets", () => {
  const sasl = { mechanism: "SCRAM-SHA-512", username: "u", password: "hush" };
  const config = configOf(card, { brokers: ["a:1"], sasl, tls: { key: "hush" } });
  expect(JSON.stringify(config)).not.toContain("hush");
});

it("names begin with the cluster's prefix and lead back", () => {
  const names = new Names("c1");
  expect(names.topicOf(names.topic("uplink.dead"))).toBe("uplink.dead");
  expect(names.topicOf("c10.uplink")).toBeUndefined();
});
