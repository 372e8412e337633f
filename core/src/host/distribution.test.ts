import { capability, definePlugin, type Plugin, Type } from "@heddle/plugin-sdk";
import { expect, it } from "vitest";
import { problemText } from "../manifest/problems.ts";
import { type BuiltIn, loadDistribution } from "./distribution.ts";
import { cardSource, folder, packageFiles } from "./test-distribution.ts";

const config = (text: string) => `config: { type: "object", additionalProperties: false, ${text} },`;

it("tells five different mistakes as five problems, each with place and way out, and imports nothing but cards", async () => {
  const started =
    "start() { globalThis.heddleTestStarted = true; }, register() { globalThis.heddleTestStarted = true; },";
  using temp = folder({
    ...packageFiles(
      "@acme/queue",
      `provides: [capability("queue@1")], ${config('properties: { brokers: { type: "array", minItems: 1, items: { type: "string" }, description: "host:port of each." } }, required: ["brokers"]')} ${started}`,
    ),
    ...packageFiles(
      "@acme/mqtt",
      `${config('properties: { port: { type: "integer", maximum: 65535, description: "TCP port." } }')} ${started}`,
    ),
    ...packageFiles("@acme/rules", `requires: { scripts: capability("script@1") }, ${started}`),
    ...packageFiles("@acme/script-js", `provides: [capability("script@1")], ${started}`),
    "manifest.yaml": [
      "name: five",
      "plugins:",
      "  queue:",
      "    use: '@acme/queue'",
      "    config:",
      "      brokers: []", // 1: value against the schema
      "  mqtt:",
      "    use: '@acme/mqtt'",
      "    config:",
      "      prot: 1883", // 2: unknown key
      "      port: ${env:MQTT_PORT}", // 3: unset variable
      "  rules:", // 4: nothing provides script@1
      "    use: '@acme/rules'",
      "  extra:",
      "    use: '@acme/mqqt'", // 5: no such package
    ].join("\n"),
  });
  const loaded = await loadDistribution({ manifest: "manifest.yaml", cwd: temp.dir, env: {} });
  const texts = loaded.problems.map((problem) => problemText(problem, temp.dir));
  expect(texts).toEqual([
    "manifest.yaml:6:16  plugins.queue.config.brokers\n  @acme/queue: must NOT have fewer than 1 items\n  host:port of each.",
    'manifest.yaml:10:7  plugins.mqtt.config.prot\n  @acme/mqtt: there is no "prot" here\n  did you mean "port"?',
    "manifest.yaml:11:13  plugins.mqtt.config.port\n  environment variable MQTT_PORT is not set\n  set it, or give a default: ${env:MQTT_PORT:-default}",
    "manifest.yaml:12:3  plugins.rules\n  requires.scripts needs script@1, and nothing in this distribution provides it\n  providers you could add: @acme/script-js\n  it may be what extra would give, which could not be loaded",
    `manifest.yaml:15:10  plugins.extra.use\n  package @acme/mqqt is not installed where ${temp.dir} could see it\n  did you mean "@acme/mqtt"?`,
  ]);
  expect(loaded.plan).toBeUndefined();
  expect(globalThis).not.toHaveProperty("heddleTestStarted");
});

it("loads plugins of an installed distribution outside the repository, each from the manifest that names it", async () => {
  const home = "node_modules/@acme/dist";
  const inner = packageFiles("@acme/inner", `provides: [capability("x@1")],`, "2.0.0");
  using temp = folder({
    [`${home}/package.json`]: JSON.stringify({ name: "@acme/dist", version: "1.0.0" }),
    [`${home}/manifest.yaml`]:
      "name: base\nplugins:\n  inner: { use: '@acme/inner' }\n  beside: { use: ./beside.mjs }\n",
    [`${home}/beside.mjs`]: cardSource("beside"),
    ...Object.fromEntries(Object.entries(inner).map(([name, text]) => [`${home}/${name}`, text])),
    "own.mjs": cardSource("own", `requires: { x: capability("x@1") },`),
    "manifest.yaml": "extends: '@acme/dist/manifest.yaml'\nplugins:\n  own: { use: ./own.mjs }\n",
  });
  const loaded = await loadDistribution({ manifest: `${temp.dir}/manifest.yaml`, env: {} });
  expect(loaded.problems).toEqual([]);
  expect(loaded.plan?.settings).toMatchObject({
    name: "base",
    cluster: { partitions: 128 },
    node: { stopTimeout: 20_000 },
  });
  expect(loaded.instances.map(({ id, version }) => [id, version])).toEqual([
    ["inner", "2.0.0"],
    ["beside", undefined],
    ["own", undefined],
  ]);
  expect(loaded.plan?.levels).toEqual([["inner", "beside"], ["own"]]);
});

it("refuses what is no plugin, wants another SDK, or belies its package", async () => {
  using temp = folder({
    "plain.mjs": "export default { name: 'x' };",
    "broken.mjs": "throw new Error('no driver here');",
    "future.mjs": cardSource("future", 'sdk: "^9.1",'),
    ...packageFiles("@acme/one", 'name: "@acme/two", version: "7.0.0",'),
    "manifest.yaml":
      "name: n\nplugins:\n  a: { use: ./plain.mjs }\n  b: { use: ./broken.mjs }\n  c: { use: ./future.mjs }\n  d: { use: '@acme/one' }\n  e: {}\n",
  });
  const { problems } = await loadDistribution({ manifest: "manifest.yaml", cwd: temp.dir, env: {} });
  const messages = problems.map(({ message }) => message).join("\n");
  expect(messages).toContain("was not made by definePlugin");
  expect(messages).toContain("no driver here");
  expect(messages).toContain("future wants plugin-sdk ^9.1, this kernel has 1.0.0");
  expect(messages).toContain("calls itself @acme/two");
  expect(messages).toContain("says version 7.0.0, its package.json says 1.2.3");
  expect(messages).toContain('"use" is missing');
  expect(problems).toHaveLength(6);
});

const Cache = capability<object>("test-cache@1");
function builtIn(id: string, card: Partial<Plugin<any, any, any>>): BuiltIn {
  const plugin = definePlugin({
    name: id,
    sdk: "^1.0",
    summary: "",
    stability: "beta",
    config: Type.Object({}),
    register: () => {},
    ...card,
  } as Plugin<any, any, any>);
  return { id, plugin };
}
const load = (manifest: object, builtIns: BuiltIn[]) =>
  loadDistribution({ manifest: { name: "n", ...manifest }, builtIns, env: {} });
const messagesOf = async (manifest: object, builtIns: BuiltIn[]) =>
  (await load(manifest, builtIns)).problems.map((one) => one.message);

it("asks for a bind where several provide, follows it, and reports one that says nothing", async () => {
  const units = [
    builtIn("a", { provides: [Cache] }),
    builtIn("b", { provides: [Cache] }),
    builtIn("user", { requires: { cache: Cache } }),
  ];
  const ambiguous = await load({}, units);
  expect(ambiguous.problems).toMatchObject([{ hint: "say which: bind: { test-cache@1: a }" }]);
  const bound = await load({ bind: { "test-cache@1": "b" } }, units);
  expect(bound.plan?.units.find(({ id }) => id === "user")?.after).toEqual(["b"]);
  expect(await messagesOf({ bind: { "test-cache@1": "b", "other@1": "b" } }, units)).toEqual([
    '"b" does not provide other@1',
  ]);
  expect(await messagesOf({ bind: { "test-cache@1": "a" } }, units.slice(0, 2))).toEqual([
    "binds test-cache@1, and nothing it applies to needs it",
  ]);
});

it("lets a plugin wrap the capability that it provides itself", async () => {
  const units = [
    builtIn("far", { provides: [Cache] }),
    builtIn("near", { provides: [Cache], requires: { cache: Cache } }),
    builtIn("user", { requires: { cache: Cache } }),
  ];
  const { plan } = await load({ bind: { "test-cache@1": "near" } }, units);
  expect(plan?.levels).toEqual([["far"], ["near"], ["user"]]);
});

it("finds circles and names each step", async () => {
  const Other = capability<object>("test-other@1");
  const messages = await messagesOf({}, [
    builtIn("a", { provides: [Cache], requires: { other: Other } }),
    builtIn("b", { provides: [Other], requires: { cache: Cache } }),
  ]);
  expect(messages).toEqual([
    "plugins need each other in a circle: a needs test-other@1 of b, b needs test-cache@1 of a",
  ]);
});

it("takes a manifest object as readily as a file, and says which field is wrong without a place", async () => {
  const { problems } = await loadDistribution({
    manifest: { name: "n", clusterr: {}, node: { workers: 0 } },
    env: {},
  });
  expect(problems.map((one) => problemText(one, "/"))).toEqual([
    '(manifest object)  clusterr\n  there is no "clusterr" here\n  did you mean "cluster"?',
    "(manifest object)  node.workers\n  must be one of a value of type integer, auto\n  Node processes on this machine: 1 to 256, or auto, one per core; from 2 on a parent beside them holds the back-ends.",
  ]);
});

it("tells what the machine lacks for a plugin, with the way to get it, and plans nothing", async () => {
  using temp = folder({
    ...packageFiles("@acme/native", 'preflight: async () => ["its native part is not built\\nnpm rebuild native"],'),
    ...packageFiles("@acme/content", "preflight: () => [],"),
    "manifest.yaml": "name: n\nplugins:\n  a: { use: '@acme/native' }\n  b: { use: '@acme/content' }\n",
  });
  const loaded = await loadDistribution({ manifest: "manifest.yaml", cwd: temp.dir, env: {} });
  expect(loaded.problems.map((problem) => problemText(problem, temp.dir))).toEqual([
    "manifest.yaml:3:13  plugins.a.use\n  @acme/native: its native part is not built\n  npm rebuild native",
  ]);
  expect(loaded.plan).toBeUndefined();
});
