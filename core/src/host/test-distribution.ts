import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Log } from "@heddle/plugin-sdk";
import { notJoined } from "../cluster/not-joined.ts";
import { MetricRegistry } from "../observe/metrics.ts";
import { CollectedNotes } from "../observe/ready-notes.ts";
import { SystemWorld } from "../world/system-world.ts";
import type { HostOptions } from "./host.ts";

/** A folder outside the repository with the given files; disposing removes it. */
export function folder(files: Readonly<Record<string, string>>): Disposable & { readonly dir: string } {
  const dir = mkdtempSync(join(tmpdir(), "heddle-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}

/** Source of a plugin made without our copy of the SDK: what counts is the mark and the shape. */
export function cardSource(name: string, body = ""): string {
  return `
    const capability = (id, cardinality = "one") => ({ id, token: Symbol.for("heddle.capability/" + id), cardinality });
    const provide = (container, what, value) => container.register(what.token, { useValue: value });
    const card = {
      name: ${JSON.stringify(name)}, sdk: "^1.0", summary: "For a test.", stability: "beta",
      config: { type: "object", properties: {}, additionalProperties: false },
      register() {},
      ${body}
    };
    export default Object.defineProperty(card, Symbol.for("heddle.plugin"), { value: true });
  `;
}

/** An installed package: its files below `node_modules`. */
export function packageFiles(name: string, body = "", version = "1.2.3"): Record<string, string> {
  const peerDependencies = { "@heddle/plugin-sdk": "^1.0.0" };
  return {
    [`node_modules/${name}/package.json`]: JSON.stringify({ name, version, exports: "./index.mjs", peerDependencies }),
    [`node_modules/${name}/index.mjs`]: cardSource(name, body),
  };
}

export const noLog: Log = { child: () => noLog, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export function hostOptions(change: Partial<HostOptions> = {}): HostOptions {
  return {
    world: new SystemWorld(),
    log: noLog,
    memory: { open: true, whenOpen: async () => {} },
    metrics: new MetricRegistry(),
    readyNotes: new CollectedNotes(),
    launch: { demo: false },
    cluster: () => Promise.reject(notJoined()),
    ready: () => true,
    ...change,
  };
}
