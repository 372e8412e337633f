import { join } from "node:path";
import { expect, it } from "vitest";
import { folder } from "../host/test-distribution.ts";
import { applyOverrides } from "./overrides.ts";
import { Problems } from "./problems.ts";
import { readManifest } from "./read.ts";
import { nodeAt, originAt, toPlain, valueOriginAt } from "./tree.ts";

function read(files: Record<string, string>, manifest = "manifest.yaml") {
  using temp = folder(files);
  const problems = new Problems();
  const { tree, files: seen } = readManifest(join(temp.dir, manifest), temp.dir, problems);
  return { dir: temp.dir, tree, plain: toPlain(tree), problems: problems.errors, seen };
}

it("merges maps by key, replaces scalars and lists, and removes with null", () => {
  const { plain, problems } = read({
    "base.yaml":
      "name: base\nnode: { workers: 2, roles: [a, b] }\nplugins:\n  coap: { use: c }\n  mqtt: { use: m, config: { port: 1, tls: { on: true } } }\n",
    "manifest.yaml":
      "name: own\nextends: ./base.yaml\nnode: { roles: [c] }\nplugins:\n  coap: null\n  mqtt: { config: { port: 2 } }\n",
  });
  expect(problems).toEqual([]);
  expect(plain).toEqual({
    name: "own",
    node: { workers: 2, roles: ["c"] },
    plugins: { mqtt: { use: "m", config: { port: 2, tls: { on: true } } } },
  });
});

it("drops the inherited config when use changes, and only then", () => {
  const base = "plugins:\n  queue: { use: a, config: { x: 1 } }\n  store: { use: s, config: { x: 1 } }\n";
  const { plain } = read({
    "base.yaml": base,
    "manifest.yaml":
      "extends: ./base.yaml\nplugins:\n  queue: { use: b, config: { y: 2 } }\n  store: { use: s, config: { y: 2 } }\n",
  });
  expect(plain).toEqual({
    plugins: { queue: { use: "b", config: { y: 2 } }, store: { use: "s", config: { x: 1, y: 2 } } },
  });
});

it("treats the same relative use of another folder as another plugin", () => {
  const { plain } = read({
    "base/base.yaml": "plugins:\n  a: { use: ./a.ts, config: { x: 1 } }\n",
    "manifest.yaml": "extends: ./base/base.yaml\nplugins:\n  a: { use: ./a.ts }\n",
  });
  expect(plain).toEqual({ plugins: { a: { use: "./a.ts" } } });
});

it("remembers file, line and column of each value through a chain of extends", () => {
  const { tree, dir, seen } = read({
    "a.yaml": "plugins:\n  queue:\n    use: q\n    config:\n      brokers: [x, y]\n",
    "b.yaml": "extends: ./a.yaml\nname: b\n",
    "manifest.yaml": "extends: ./b.yaml\n\nplugins:\n  queue:\n    config:\n      acks: 1\n",
  });
  expect(valueOriginAt(tree, ["plugins", "queue", "use"])).toMatchObject({
    source: join(dir, "a.yaml"),
    line: 3,
    column: 10,
  });
  expect(valueOriginAt(tree, ["plugins", "queue", "config", "brokers", 1])).toMatchObject({ line: 5, column: 20 });
  expect(valueOriginAt(tree, ["plugins", "queue", "config", "acks"])).toMatchObject({
    source: join(dir, "manifest.yaml"),
    line: 6,
    column: 13,
  });
  expect(originAt(tree, ["plugins", "queue", "config", "acks"])).toMatchObject({ line: 6, column: 7 });
  expect(seen).toEqual([join(dir, "manifest.yaml"), join(dir, "b.yaml"), join(dir, "a.yaml")]);
});

it("extends a manifest of a package", () => {
  const { plain, problems } = read({
    "node_modules/@acme/dist/package.json": JSON.stringify({ name: "@acme/dist", version: "1.0.0" }),
    "node_modules/@acme/dist/manifest.yaml": "name: acme\n",
    "manifest.yaml": 'extends: "@acme/dist/manifest.yaml"\nlog: { level: warn }\n',
  });
  expect(problems).toEqual([]);
  expect(plain).toEqual({ name: "acme", log: { level: "warn" } });
});

it("reports a circle, a missing base and broken YAML with their places", () => {
  const circle = read({ "a.yaml": "extends: ./manifest.yaml\n", "manifest.yaml": "extends: ./a.yaml\n" });
  expect(circle.problems).toMatchObject([
    { at: { source: join(circle.dir, "a.yaml"), line: 1, column: 10 }, path: "extends" },
  ]);
  expect(circle.problems[0]?.message).toContain("circle");
  const absent = read({ "manifest.yaml": "name: x\nextends: ./nowhere.yaml\n" });
  expect(absent.problems).toMatchObject([{ at: { line: 2, column: 10 } }]);
  const broken = read({ "manifest.yaml": "name: x\nplugins: {a: [\n" });
  expect(broken.problems.length).toBeGreaterThan(0);
  expect(broken.problems[0]?.at?.line).toBeGreaterThanOrEqual(2);
  const twice = read({ "manifest.yaml": "name: x\nname: y\n" });
  expect(twice.problems).toMatchObject([{ at: { line: 2 } }]);
});

it("refuses a file whose aliases explode", () => {
  const levels = Array.from({ length: 8 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(", ")}]`);
  const { problems } = read({ "manifest.yaml": ["l0: &l0 x", ...levels].join("\n") });
  expect(problems[0]?.message).toContain("more than 50000 values");
});

it("lays --set over the manifest, with the same merge and without showing the value", () => {
  using temp = folder({ "manifest.yaml": "plugins:\n  mqtt: { use: m, config: { port: 1 } }\n  coap: { use: c }\n" });
  const problems = new Problems();
  const { tree } = readManifest(join(temp.dir, "manifest.yaml"), temp.dir, problems);
  const sets = [
    "plugins.mqtt.config.port=1884",
    "plugins.coap=null",
    "plugins.q.config.brokers=[a, b]",
    "plugins.q.use=x: y",
  ];
  const set = applyOverrides(tree, sets, { cwd: temp.dir, problems });
  expect(problems.errors).toEqual([]);
  expect(toPlain(set)).toEqual({
    plugins: { mqtt: { use: "m", config: { port: 1884 } }, q: { config: { brokers: ["a", "b"] }, use: "x: y" } },
  });
  expect(nodeAt(set, ["plugins", "mqtt", "config", "port"])).toMatchObject({
    text: "1884",
    at: { source: "--set plugins.mqtt.config.port" },
  });
  applyOverrides(tree, ["novalue", "a..b=1"], { cwd: temp.dir, problems });
  expect(problems.errors).toHaveLength(2);
});
