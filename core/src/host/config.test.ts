import { inspect } from "node:util";
import { Bytes, Duration, Secret, SecretString, Type } from "@heddle/plugin-sdk";
import { expect, it } from "vitest";
import type { JsonSchema } from "../manifest/json-schema.ts";
import { Problems } from "../manifest/problems.ts";
import { fromObject } from "../manifest/read.ts";
import { readConfig } from "./config.ts";

function read(schema: object, value: unknown) {
  const problems = new Problems();
  const tree = fromObject({ config: value }, { source: "test", dir: "/" });
  const subject = { tree, path: ["config"], prefix: "", hint: "look it up" };
  return { config: readConfig(schema as JsonSchema, subject, problems) as any, problems };
}

it("fills defaults in, decodes them and freezes deeply", () => {
  const schema = Type.Object({
    wait: Duration({ default: "30s" }),
    room: Bytes({ default: 10 }),
    inner: Type.Object({ list: Type.Array(Duration(), { default: ["1m", 5] }) }, { default: {} }),
    password: SecretString(),
  });
  const { config } = read(schema, { room: "2KB", password: "geheim" });
  expect(config).toMatchObject({ wait: 30_000, room: 2048, inner: { list: [60_000, 5] } });
  expect(config.password).toBeInstanceOf(Secret);
  expect(config.password.reveal()).toBe("geheim");
  expect(inspect(config) + JSON.stringify(config)).not.toContain("geheim");
  expect(Object.isFrozen(config.inner.list)).toBe(true);
});

it("decodes the branch of a union that the value fits", () => {
  const schema = Type.Object({
    idle: Type.Union([Type.Literal("never"), Duration()]),
    login: Type.Union([
      Type.Object({ kind: Type.Literal("open"), key: Type.String() }),
      Type.Object({ kind: Type.Literal("closed"), key: SecretString() }),
    ]),
  });
  expect(read(schema, { idle: "never", login: { kind: "open", key: "k" } }).config).toEqual({
    idle: "never",
    login: { kind: "open", key: "k" },
  });
  const closed = read(schema, { idle: "2s", login: { kind: "closed", key: "k" } }).config;
  expect(closed.idle).toBe(2_000);
  expect(closed.login.key).toBeInstanceOf(Secret);
});

it("reports every field at once, a union once, and never the value", () => {
  const schema = Type.Object(
    {
      port: Type.Integer(),
      wait: Duration(),
      room: Bytes(),
      mode: Type.Union([Type.Literal("fast"), Type.Literal("safe")]),
      password: SecretString({ minLength: 20 }),
    },
    { additionalProperties: false },
  );
  const { problems } = read(schema, { port: "12", wait: "5 weeks", room: "big", mode: "fats", password: "geheim" });
  expect(problems.errors.map(({ path, message }) => `${path}: ${message}`)).toEqual([
    "config.mode: must be one of fast, safe",
    "config.password: must NOT have fewer than 20 characters",
    "config.port: must be integer, is string",
    "config.room: must be a size such as 512B, 64KB, 16MB or 2GB",
    "config.wait: must be a duration such as 250ms, 30s, 5m, 2h or 7d",
  ]);
  expect(problems.errors[0]?.hint).toBe('did you mean "fast"?');
  expect(problems.warnings.map(({ path }) => path)).toEqual(["config.password"]);
  expect(JSON.stringify([problems.errors, problems.warnings])).not.toContain("geheim");
});
