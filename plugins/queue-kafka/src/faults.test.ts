import { Fault } from "@heddle/plugin-sdk";
import { expect, it } from "vitest";
import { asKafkaFault, errorTypes } from "./faults.ts";

const error = (name: string, more: object = {}) => Object.assign(new Error(`${name} said so`), { name, ...more });

it.each([
  [error("KafkaJSSASLAuthenticationError"), "queue.denied", false],
  [error("KafkaJSProtocolError", { type: "TOPIC_AUTHORIZATION_FAILED" }), "queue.denied", false],
  [error("KafkaJSConnectionError", { code: "SELF_SIGNED_CERT_IN_CHAIN" }), "queue.tls", false],
  [error("KafkaJSConnectionError", { code: "EPROTO" }), "queue.tls", false],
  [error("KafkaJSConnectionError", { code: "ECONNREFUSED", retriable: true }), "queue.unavailable", true],
  [error("KafkaJSProtocolError", { type: "INVALID_CONFIG", retriable: false }), "queue.refused", false],
  [error("KafkaJSRequestTimeoutError", { retriable: true }), "queue.unavailable", true],
])("%s", (given, code, retryable) => {
  const wrapped = error("KafkaJSNumberOfRetriesExceeded", { retriable: false, cause: given });
  for (const one of [given, wrapped]) {
    expect(asKafkaFault(one, "asking")).toMatchObject({ code, retryable });
  }
});

it("a fault stays what it is", () => {
  const fault = new Fault("conflict", "queue.settle", "no");
  expect(asKafkaFault(fault, "asking")).toBe(fault);
});

it("types are found in causes and in the errors of an aggregate", () => {
  const inner = error("KafkaJSCreateTopicError", { type: "TOPIC_ALREADY_EXISTS" });
  const aggregate = error("KafkaJSAggregateError", { errors: [inner] });
  expect(errorTypes(error("KafkaJSError", { cause: aggregate }))).toEqual(["TOPIC_ALREADY_EXISTS"]);
  const circle = error("KafkaJSError", { type: "A" });
  Object.assign(circle, { cause: circle });
  expect(errorTypes(circle)).toEqual(["A"]);
});
