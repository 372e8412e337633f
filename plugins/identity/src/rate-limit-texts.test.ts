import { describe, expect, it } from "vitest";
import { checkRateLimits, rateLimitNames } from "./rate-limit-texts.ts";

describe("rate limits of a tenant profile", () => {
  it.each([null, undefined, "", "10:1", "10:1,300:60", " 10:1 , 300:60", "007:060", "999999999999:999999999"])(
    "takes %j",
    (text) => {
      for (const name of rateLimitNames) expect(() => checkRateLimits({ [name]: text })).not.toThrow();
    },
  );

  it.each(["10:1,20:1", "10:1,20:01", "5:60,1:1,6:60"])("R-TEN-05 refuses two pairs for the same time: %s", (text) => {
    expect(() => checkRateLimits({ tenantServerRestLimitsConfiguration: text })).toThrowError(
      "Validation error: REST requests for tenant rate limit has duplicate 'Per seconds' configuration.",
    );
  });

  it.each([
    "abc",
    "10",
    "10:",
    ":1",
    "10:1,",
    "10:1;20:2",
    "0:1",
    "1:0",
    "-1:1",
    "1.5:1",
    "1:1:1",
    "1000000000000:1",
    " ",
    7,
    {},
    false,
  ])("refuses %j and names the limit", (text) => {
    expect(() => checkRateLimits({ transportDeviceMsgRateLimit: text })).toThrowError(
      `Validation error: Transport device messages rate limit must be pairs of capacity:seconds, such as "10:1,300:60", not ${JSON.stringify(text)}.`,
    );
  });

  it("shows no more of a text than the message needs", () => {
    const message = () => checkRateLimits({ edgeEventRateLimits: "x".repeat(10_000) });
    expect(message).toThrowError(/^.{1,250}$/);
  });
});
