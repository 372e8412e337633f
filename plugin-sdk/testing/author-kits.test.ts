import { describe, expect, it } from "vitest";
import { defineRuleNode, type Sessions, Type } from "../src/index.ts";
import {
  describeRuleNode,
  failingCases,
  ruleNodeCases,
  type TransportKit,
  transportCases,
  transportSetup,
} from "./index.ts";

const threshold = {
  type: "acme.threshold",
  version: 1,
  category: "filter" as const,
  title: "Threshold",
  summary: "Routes by comparing one telemetry key with a number.",
  relations: ["Above", "Below"] as const,
  config: Type.Object({ key: Type.String({ default: "t" }), limit: Type.Number({ default: 0 }) }),
  migrate: { 0: (old: any) => old },
};
const good = defineRuleNode({
  ...threshold,
  create: ({ config }) => ({
    onMsg: (msg, turn) => turn.to(Number((msg.data as any)[config.key]) > config.limit ? "Above" : "Below", msg),
  }),
});
const examples = [
  { msg: { data: { t: 5 } }, relations: ["Above"] },
  { msg: { data: { t: -5 } }, relations: ["Below"] },
];

describeRuleNode(good, { examples });

describe("the rule node kit", () => {
  const setup = async () => ({ [Symbol.asyncDispose]: async () => {} });
  const broken = (node: any, kit: object = { examples }) => failingCases(ruleNodeCases(node, kit as any), setup);

  it("finds relations that are not declared, or never taken", async () => {
    const undeclared = { ...good, relations: ["Above"] };
    expect(await broken(undeclared)).toEqual([
      "declares every relation that it takes, and can take every one it declares",
    ]);
    expect(await broken(good, { examples: examples.slice(1) })).toEqual([
      "declares every relation that it takes, and can take every one it declares",
    ]);
  });

  it("finds a missing migration, a missing default and a changed message", async () => {
    expect(await broken({ ...good, migrate: {} })).toEqual(["brings every older configuration to its version"]);
    const needs = { ...good, config: Type.Object({ key: Type.String(), limit: Type.Number({ default: 0 }) }) };
    expect(await broken(needs)).toContain("has a default for every field that it needs");
    const changes = {
      ...good,
      create: (ctx: any) => ({
        onMsg: (msg: any, turn: any) => {
          msg.data.x = 1;
          return good.create(ctx).onMsg(msg, turn);
        },
      }),
    };
    expect(await broken(changes)).toContain("leaves the message that it was given as it is");
  });
});

/** A transport without a wire: calls stand for packets. */
const direct = (flaw: "none" | "early" | "anyone" | "swallows" | "reversed" = "none"): TransportKit => ({
  async create(sessions: Sessions) {
    return {
      async connect(token) {
        const who = await sessions.authenticate(
          { kind: "token", token: flaw === "anyone" ? "A1_TEST_TOKEN" : token },
          never,
        );
        if (who === undefined) return "refused";
        const uplinks = sessions.visit(who);
        let held: string | undefined;
        return {
          async sendTelemetry(document) {
            try {
              if (flaw === "reversed" && held === undefined) {
                held = document;
                return "accepted";
              }
              const sent = uplinks.telemetry(Buffer.from(document));
              if (held !== undefined) void uplinks.telemetry(Buffer.from(held));
              held = undefined;
              if (flaw !== "early") await sent;
              return "accepted";
            } catch {
              return flaw === "swallows" ? "accepted" : "refused";
            }
          },
          async [Symbol.asyncDispose]() {},
        };
      },
      async [Symbol.asyncDispose]() {},
    };
  },
});
const never = { signal: new AbortController().signal };

describe("the transport kit", () => {
  it.each([
    ["none", []],
    ["early", ["acknowledges nothing before it is durable"]],
    ["anyone", ["refuses a stranger"]],
    ["swallows", ["refuses what is no document, and serves the next device"]],
  ] as const)("on a transport with the flaw %s", async (flaw, failing) => {
    expect(await failingCases(transportCases, transportSetup(direct(flaw)))).toEqual(failing);
  });

  it("finds messages out of order", async () => {
    expect(await failingCases(transportCases, transportSetup(direct("reversed")))).toContain(
      "hands messages over in the order in which they were sent",
    );
  });
});
