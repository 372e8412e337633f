import { join } from "node:path";
import { expect, it } from "vitest";
import { folder } from "../host/test-distribution.ts";
import { toValue } from "./convert.ts";
import { interpolate } from "./interpolate.ts";
import type { JsonSchema } from "./json-schema.ts";
import { Problems } from "./problems.ts";
import { readManifest } from "./read.ts";
import { nodeAt, toPlain } from "./tree.ts";

function expand(text: string, env: Record<string, string>, files: Record<string, string> = {}) {
  using temp = folder({ "manifest.yaml": text, ...files });
  const problems = new Problems();
  const read = readManifest(join(temp.dir, "manifest.yaml"), temp.dir, problems);
  const tree = interpolate(read.tree, env, problems);
  return { tree, plain: toPlain(tree) as Record<string, unknown>, problems: problems.errors };
}

it("expands once and never reads the result as YAML or as another interpolation", () => {
  const password = "a$b: #c ${env:OTHER} $$ {x}";
  const { plain, problems } = expand('a: "${env:PASSWORD}"\nb: x${env:N}y\nc: $${env:N}\nd: costs 5$\n', {
    PASSWORD: password,
    N: "1",
  });
  expect(problems).toEqual([]);
  expect(plain).toEqual({ a: password, b: "x1y", c: "${env:N}", d: "costs 5$" });
});

it("takes defaults for what is unset or empty", () => {
  const { plain } = expand('a: "${env:NO:-7}"\nb: "${env:EMPTY:-x:y}"\nc: "${env:EMPTY}"\nd: "${env:NO:-}"\n', {
    EMPTY: "",
  });
  expect(plain).toEqual({ a: "7", b: "x:y", c: "", d: "" });
});

it("reads files beside the manifest and secrets from the secrets folder, and marks only the latter", () => {
  const { tree, plain, problems } = expand(
    'node: { secretsDir: "./${env:WHERE}" }\na: "${file:cert.pem}"\nb: "${secret:db/url}"\n',
    { WHERE: "vault" },
    { "cert.pem": "line1\nline2\n", "vault/db/url": "postgres://x\n" },
  );
  expect(problems).toEqual([]);
  expect(plain).toMatchObject({ a: "line1\nline2", b: "postgres://x" });
  expect(nodeAt(tree, ["b"])).toMatchObject({ secret: true });
  expect(nodeAt(tree, ["a"])).not.toHaveProperty("secret");
});

it("reports everything that cannot be expanded, with place and way out", () => {
  const { problems } = expand(
    'a: "${env:HOMME}"\nb: "${nothing}"\nc: "${env:X"\nd: "${file:./no.txt}"\ne: "${secret:x}"\nnode: { id: "${env:1X}" }\n',
    { HOME: "/" },
  );
  expect(problems.map(({ at, path }) => `${at?.line}:${at?.column} ${path}`)).toEqual([
    "1:4 a",
    "2:4 b",
    "3:4 c",
    "4:4 d",
    "5:4 e",
    "6:13 node.id",
  ]);
  expect(problems[0]?.hint).toContain("did you mean HOME");
  expect(problems[4]?.hint).toContain("node.secretsDir");
});

it("does not let a secret's name leave its folder", () => {
  const { problems } = expand(
    'node: { secretsDir: ./vault }\na: "${secret:../outside}"\n',
    {},
    { outside: "x", "vault/y": "" },
  );
  expect(problems).toHaveLength(1);
});

it("converts expanded texts, and only these, to the type of their field", () => {
  const schema: JsonSchema = {
    type: "object",
    properties: {
      port: { type: "integer" },
      ratio: { type: "number" },
      on: { type: "boolean" },
      name: { type: "string" },
      either: { anyOf: [{ type: "integer" }, { const: "auto" }] },
      list: { type: "array", items: { type: "integer" } },
      odd: { type: "integer" },
      quoted: { type: "integer" },
    },
  };
  const text = ["port", "ratio", "on", "name", "either", "odd"]
    .map((key) => `${key}: "\${env:${key.toUpperCase()}}"`)
    .join("\n");
  const env = { PORT: "1884", RATIO: "0.5", ON: "true", NAME: "0123", EITHER: "4", ODD: "12x" };
  const { tree } = expand(`${text}\nlist: ["\${env:PORT}"]\nquoted: "5"\n`, env);
  expect(toValue(tree, [schema])).toEqual({
    port: 1884,
    ratio: 0.5,
    on: true,
    name: "0123",
    either: 4,
    list: [1884],
    odd: "12x",
    quoted: "5",
  });
});
