import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { folder, packageFiles } from "../host/test-distribution.ts";
import { main } from "./main.ts";

async function heddle(args: string[], cwd: string, env: Record<string, string> = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(args, {
    cwd,
    env,
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    builtIns: async () => [],
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

const storeConfig = `config: { type: "object", additionalProperties: false, required: ["password"], properties: {
  password: { type: "string", heddleDecode: "secret", description: "Of the account." },
  port: { type: "integer", default: 5 } } },`;
const store = packageFiles(
  "@acme/store",
  `${storeConfig} provides: [capability("store@1")],
   register({ container, config }) {
     if (config.password.reveal() === "wrong") throw new Error("login refused");
     provide(container, capability("store@1"), {});
   },
   metrics: { size: { kind: "gauge", unit: "bytes", help: "Size." } }, faults: { "store.full": { kind: "exhausted", help: "Full." } },`,
);
const files = {
  ...store,
  ...packageFiles("@acme/user", 'requires: { store: capability("store@1") },'),
  "manifest.yaml":
    "name: acme\nnode: { secretsDir: ./vault }\nplugins:\n  store:\n    use: '@acme/store'\n    config: { password: geheim1 }\n  user: { use: '@acme/user' }\n  gone: { use: '@acme/user', config: {} }\n",
  "vault/pw": "geheim2\n",
};
const good = "--set=plugins.gone=null";

describe("heddle cluster status", () => {
  const told = {
    self: "b",
    epoch: 7,
    partitions: 128,
    serving: 60,
    members: [
      { id: "a", incarnation: "a-1", address: "a:7400", roles: ["owner"], drained: 7, partitions: 68 },
      { id: "b", incarnation: "b-3", address: "b:7400", roles: [], drained: 6, partitions: 60 },
    ],
    lanes: [
      { lane: "rule-engine", group: "rules", lag: 42 },
      { lane: "removals", group: "lifecycle" },
    ],
  };

  async function node(status: number, body: object) {
    const server = createServer((request, response) => {
      response.writeHead(request.url === "/cluster" ? status : 404).end(JSON.stringify(body));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { url, [Symbol.dispose]: () => void server.close() };
  }

  it("prints members, partitions and lag, for people and as JSON", async () => {
    using at = await node(200, told);
    expect((await heddle(["cluster", "status", "--url", at.url], "/")).out.split("\n")).toEqual([
      "epoch 7, 128 partitions, 2 members; b serves 60",
      "",
      "member  partitions  hand-over  roles  address  incarnation",
      "a       68          settled    owner  a:7400   a-1",
      "b *     60          drained 6  -      b:7400   b-3",
      "",
      "lane         group      lag",
      "rule-engine  rules      42",
      "removals     lifecycle  unknown",
    ]);
    const { code, out } = await heddle(["cluster", "status", "--url", at.url, "--json"], "/");
    expect({ code, told: JSON.parse(out) }).toEqual({ code: 0, told });
  });

  it("answers 4 when no node does, or none that has joined", async () => {
    using at = await node(503, { error: "this node has not joined a cluster" });
    expect(await heddle(["cluster", "status", "--url", at.url], "/")).toMatchObject({
      code: 4,
      err: expect.stringContaining("has not joined"),
    });
    const gone = await heddle(["cluster", "status", "--url", "http://127.0.0.1:1", "--json"], "/");
    expect({ code: gone.code, ...JSON.parse(gone.out) }).toMatchObject({ code: 4, url: "http://127.0.0.1:1" });
  });
});

describe("heddle", () => {
  it("answers wrong usage with 2 and help with 0", async () => {
    expect(await heddle([], "/")).toMatchObject({ code: 2, out: "" });
    expect((await heddle(["--help"], "/")).out).toContain("heddle plugins show <role>");
    expect(await heddle(["check", "--help"], "/")).toMatchObject({ code: 0 });
    for (const args of [
      ["dance"],
      ["toString"],
      ["check", "--nope"],
      ["check", "--demo"],
      ["check", "a", "b"],
      ["plugins", "show"],
      ["check"],
    ]) {
      expect(await heddle(args, "/")).toMatchObject({ code: 2, out: "" });
    }
    expect((await heddle(["--version"], "/")).out).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it("check answers 0 or 1, for people and for machines", async () => {
    using temp = folder(files);
    expect(await heddle(["check", good], temp.dir)).toMatchObject({ code: 0, out: "acme: ok, 2 plugins" });
    const bad = await heddle(["check", "--json", "--set", "plugins.store.config.port=many"], temp.dir);
    expect(bad.code).toBe(1);
    expect(JSON.parse(bad.out)).toMatchObject({
      ok: false,
      problems: [{ path: "plugins.store.config.port", message: "@acme/store: must be integer, is string" }],
      warnings: [{ path: "plugins.store.config.password", line: 6, column: 25 }],
    });
    expect(await heddle(["check", "nowhere.yaml"], temp.dir)).toMatchObject({ code: 1 });
  });

  it("check --connect starts and stops, and answers 3 when that fails", async () => {
    using temp = folder(files);
    expect(await heddle(["check", "--connect", good], temp.dir)).toMatchObject({
      code: 0,
      out: "acme: ok, 2 plugins\nstarted and stopped: store, user",
    });
    const failed = await heddle(["check", "--connect", good, "--set", "plugins.store.config.password=wrong"], temp.dir);
    expect(failed.code).toBe(3);
    expect(failed.err).toContain("store (@acme/store) could not start: login refused");
  });

  it("plugins list and show tell who gives what to whom", async () => {
    using temp = folder(files);
    const list = JSON.parse((await heddle(["plugins", "list", "--json", good], temp.dir)).out);
    expect(list.plugins).toMatchObject([
      { role: "store", version: "1.2.3", provides: ["store@1"] },
      { role: "user", needs: { "store@1": ["store"] } },
    ]);
    expect((await heddle(["plugins", "list", good], temp.dir)).out).toContain("  needs store@1 from store");
    const card = (await heddle(["plugins", "show", "store", good], temp.dir)).out;
    expect(card).toContain("password  secret, required  Of the account.");
    expect(card).toContain("store.full  exhausted  Full.");
    expect((await heddle(["plugins", "show", "sotre", good], temp.dir)).err).toContain('did you mean "store"?');
  });

  it("config print shows origins and no secret, wherever it came from", async () => {
    using temp = folder(files);
    const printed = await heddle(["config", "print", good], temp.dir);
    expect(printed.code).toBe(0);
    expect(printed.out).toMatch(/^plugins\.store\.config\.password: "\*\*\*" +# manifest\.yaml:6:25$/m);
    const secret = [
      "--set",
      "plugins.user.config.note=${secret:pw}",
      "--set",
      "plugins.gone.use=@acme/none",
      "--set",
      "plugins.gone.config.token=geheim3",
    ];
    const odd = await heddle(["config", "print", "--json", ...secret], temp.dir);
    expect(odd.code).toBe(1);
    for (const text of [printed.out, printed.err, odd.out, odd.err]) expect(text).not.toContain("geheim");
  });

  it("config schema is a JSON Schema of this distribution", async () => {
    using temp = folder(files);
    const schema = JSON.parse((await heddle(["config", "schema", good], temp.dir)).out);
    const [entry] = schema.properties.plugins.properties.store.anyOf;
    expect(entry.properties.config.properties).toMatchObject({
      password: { writeOnly: true },
      port: { anyOf: [{ type: "integer" }, { type: "string" }] },
    });
    expect(entry.properties.config).not.toHaveProperty("required");
  });

  it("runs from its sources, with a TypeScript plugin outside the repository that imports the SDK", async () => {
    using temp = folder({
      "plugin.ts": `import { definePlugin, Type } from "@heddle/plugin-sdk";
        export default definePlugin({ name: "own", sdk: "^1.0", summary: "s", stability: "beta",
          config: Type.Object({ n: Type.Integer() }), register() {} });`,
      "package.json": '{ "type": "module" }',
      "manifest.yaml": "name: acme\nplugins:\n  own: { use: ./plugin.ts, config: { n: x } }\n",
      "main.ts": `import { main } from ${JSON.stringify(resolve("core/src/cli/main.ts"))};
        process.exitCode = await main(process.argv.slice(2), { cwd: process.cwd(), env: process.env,
          out: console.log, err: console.error, builtIns: async () => [] });`,
    });
    mkdirSync(join(temp.dir, "node_modules/@heddle"), { recursive: true });
    symlinkSync(resolve("plugin-sdk"), join(temp.dir, "node_modules/@heddle/plugin-sdk"));
    const run = await spawned(["main.ts", "check", "--json"], temp.dir);
    expect(run.code).toBe(1);
    expect(JSON.parse(run.stdout).problems).toMatchObject([{ path: "plugins.own.config.n", line: 3, column: 41 }]);
  });

  it("answers on the command line itself", async () => {
    const run = await spawned([resolve("core/bin/heddle.ts"), "dance"], "/");
    expect(run).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining('there is no command "dance"') });
  });
});

/** Runs a TypeScript entry point as the scripts of this repository do. */
async function spawned(args: string[], cwd: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const flags = ["--conditions=source", "--import", import.meta.resolve("tsx")];
  const run = promisify(execFile)(process.execPath, [...flags, ...args], { cwd });
  return run.then((result) => ({ code: 0, ...result })).catch((error) => error);
}
