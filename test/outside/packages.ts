import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");

const ruleNodes = `
import { defineRuleNode, defineRuleNodePack, Type } from "@heddle/plugin-sdk";

export const threshold = defineRuleNode({
  type: "acme.threshold", version: 1, category: "filter", title: "Threshold",
  summary: "Routes by comparing one telemetry key with a number.",
  relations: ["Above", "Below"],
  config: Type.Object({ key: Type.String({ default: "temperature" }), limit: Type.Number({ default: 0 }) }),
  migrate: { 0: (old) => old },
  create: ({ config }) => ({
    onMsg: (msg, turn) => turn.to(Number(msg.data[config.key]) > config.limit ? "Above" : "Below", msg),
  }),
});
export default defineRuleNodePack({ name: "@acme/heddle-threshold", sdk: "^1.0", summary: "A threshold.", nodes: [threshold] });
`;

const cache = `
import { Cache, definePlugin, provide, Type, World } from "@heddle/plugin-sdk";

export class MapCache {
  #entries = new Map();
  constructor(world, most) { this.world = world; this.most = most; }
  async get(keys, call) {
    call.signal.throwIfAborted();
    return keys.map((key) => {
      const entry = this.#entries.get(key);
      if (entry === undefined || entry.until <= this.world.elapsed()) return undefined;
      return structuredClone(entry.value);
    });
  }
  async set(entries, call) {
    call.signal.throwIfAborted();
    for (const { key, value, ttlMs } of entries) {
      this.#entries.delete(key);
      if (this.#entries.size >= this.most) this.#entries.delete(this.#entries.keys().next().value);
      this.#entries.set(key, { value: structuredClone(value), until: this.world.elapsed() + ttlMs });
    }
  }
  async drop(keys, call) {
    call.signal.throwIfAborted();
    for (const key of keys) this.#entries.delete(key);
  }
}
export default definePlugin({
  name: "@acme/heddle-cache", sdk: "^1.0", summary: "A cache in a map.", stability: "experimental",
  config: Type.Object({ most: Type.Integer({ default: 1000, minimum: 1 }) }, { additionalProperties: false }),
  requires: { world: World }, provides: [Cache],
  register({ container, config, deps }) { provide(container, Cache, () => new MapCache(deps.world, config.most)); },
});
`;

const transport = `
import { createServer } from "node:net";
import { definePlugin, Port, ReadyNotes, Sessions, Type } from "@heddle/plugin-sdk";

/** Lines of text: the token first, then one document a line; each is answered "ok" or "no". */
export class LineTransport {
  constructor(sessions, port) { this.sessions = sessions; this.server = createServer((socket) => this.serve(socket)); this.wanted = port; }
  async start() { await new Promise((resolve) => this.server.listen(this.wanted, "127.0.0.1", resolve)); return this.server.address().port; }
  async serve(socket) {
    socket.on("error", () => socket.destroy());
    let rest = "", uplinks, turn = Promise.resolve();
    const line = async (text) => {
      if (uplinks !== undefined) {
        try { await uplinks.telemetry(Buffer.from(text)); socket.write("ok\\n"); } catch { socket.write("no\\n"); }
        return;
      }
      const who = await this.sessions.authenticate({ kind: "token", token: text }, { signal: new AbortController().signal });
      if (who === undefined) return socket.end("no\\n");
      uplinks = this.sessions.visit(who);
      socket.write("ok\\n");
    };
    socket.on("data", (chunk) => {
      const lines = (rest + chunk).split("\\n");
      rest = lines.pop();
      if (rest.length > 65536) return socket.destroy();
      for (const text of lines) turn = turn.then(() => line(text));
    });
  }
  async stop() { await new Promise((resolve) => this.server.close(resolve)); }
}
export default definePlugin({
  name: "@acme/heddle-lines", sdk: "^1.0", summary: "Telemetry as lines of text.", stability: "experimental",
  config: Type.Object({ port: Port({ default: 0 }) }),
  requires: { sessions: Sessions, notes: ReadyNotes },
  register({ container, config, deps }) { container.register("lines", { useFactory: once(() => new LineTransport(deps.sessions, config.port)) }); },
  async start({ container, deps }) { deps.notes.add({ title: "Lines", lines: ["127.0.0.1:" + (await container.resolve("lines").start())] }); },
  async stop({ container }) { await container.resolve("lines").stop(); },
});
function once(make) { let made; return () => (made ??= make()); }
`;

const manifest = `
name: acme
extends: "@heddle/distribution-standalone/manifest.yaml"
plugins:
  threshold: { use: "@acme/heddle-threshold" }
  cache:     { use: "@acme/heddle-cache", config: { most: 50 } }
  lines:     { use: "@acme/heddle-lines" }
  coap: null
`;

/** A folder as a third party has it: packages of its own, ours installed beside them, and a manifest that extends ours. */
export function outsideFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "heddle-acme-"));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  for (const [name, text] of [
    ["threshold", ruleNodes],
    ["cache", cache],
    ["lines", transport],
  ] as const) {
    const at = `node_modules/@acme/heddle-${name}`;
    const card = { name: `@acme/heddle-${name}`, version: "1.0.0", type: "module", exports: "./index.js" };
    write(`${at}/package.json`, JSON.stringify(card));
    write(`${at}/index.js`, text);
  }
  mkdirSync(join(folder, "node_modules/@heddle"));
  for (const name of readdirSync(join(root, "node_modules/@heddle"))) {
    symlinkSync(join(root, "node_modules/@heddle", name), join(folder, "node_modules/@heddle", name));
  }
  write("package.json", JSON.stringify({ name: "acme", version: "1.0.0", type: "module" }));
  write("manifest.yaml", manifest);
  return folder;
}
