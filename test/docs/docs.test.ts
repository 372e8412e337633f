import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeBuiltIns } from "@heddle/core";
import { afterAll, describe, expect, it } from "vitest";
import { loadDistribution } from "../../core/src/host/distribution.ts";
import { madePages, stalePages } from "../../docs/generator/pages.ts";
import { allOperations } from "../../plugins/api-http/src/operations/all.ts";
import { anchorsOf, type Block, blocksOf, linksOf, pages, root, textOf } from "./blocks.ts";
import { compileProblems } from "./compile.ts";

const all = pages().flatMap(blocksOf);
const ofLanguage = (...languages: readonly string[]) => all.filter(({ language }) => languages.includes(language));
const code = ofLanguage("ts");
const manifests = ofLanguage("yaml", "yml").filter(
  ({ label, text }) => label === "manifest" || /^extends:/m.test(text),
);
const at = ({ page, line }: Block) => `${page}:${line}`;

/** Stands in for the services: the list of operations is made without asking them anything. */
const anything: Parameters<typeof allOperations>[0] = new Proxy(() => {}, {
  get: () => anything,
  apply: () => anything,
}) as never;

/** A folder with the files of the code blocks, as a reader would have them. */
const folder = mkdtempSync(join(tmpdir(), "heddle-docs-"));
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
for (const { label, text } of code) if (label !== "") writeFileSync(join(folder, label), text);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the documentation", () => {
  it("has a reference that says what the definitions say", async () => {
    expect(stalePages(await madePages()), "npm run docs makes them anew").toEqual([]);
  });

  it("finds stale pages", async () => {
    const [[name = "", text = ""] = []] = await madePages();
    const changed = new Map([
      [name, `${text} `],
      ["none.md", ""],
    ]);
    expect(stalePages(changed)).toEqual([name, "none.md"]);
  });

  it("has links that lead somewhere", () => {
    const links = pages().flatMap((page) => linksOf(page).map((link) => ({ page, ...link })));
    expect(links.length).toBeGreaterThan(20);
    const broken = links.filter(({ file, heading }) => {
      if (!existsSync(join(root, file))) return true;
      return heading !== "" && !anchorsOf(file).includes(heading);
    });
    expect(broken).toEqual([]);
  });

  it("has code that compiles", { timeout: 60_000 }, () => {
    expect(code.length).toBeGreaterThan(3);
    // Planted, so that silence means something.
    const wrong: Block = { page: "README.md", line: 1, language: "ts", label: "", text: "const a: string = 1;\n" };
    expect(compileProblems([...code, wrong])).toEqual([
      "README.md:2: Type 'number' is not assignable to type 'string'.",
    ]);
  });

  it("has JSON that is JSON", () => {
    for (const block of ofLanguage("json")) expect(() => JSON.parse(block.text), at(block)).not.toThrow();
  });

  it("names scripts and tests that are there", () => {
    const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Readonly<Record<string, string>> };
    const text = pages().map(textOf).join("\n");
    const run = [...text.matchAll(/npm run (?:-s )?([a-z]+)/g)].map(([, name = ""]) => name);
    expect(run.length).toBeGreaterThan(5);
    expect(run.filter((name) => scripts[name] === undefined)).toEqual([]);
    const tested = [...text.matchAll(/npx vitest run (\S+?)`/g)].map(([, path = ""]) => path);
    expect(tested.length).toBeGreaterThan(0);
    expect(tested.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("names REST operations that are there", () => {
    const known = new Set(allOperations(anything).map(({ method, path }) => `${method} ${path}`));
    const named = [...textOf("docs/connect/README.md").matchAll(/`((?:GET|POST|PUT|DELETE) \/api\/[^`]+)`/g)].map(
      ([, name = ""]) => name,
    );
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  it("tells the commands that start and test it", () => {
    const lines = textOf("README.md").split("\n");
    expect(lines).toEqual(expect.arrayContaining(["npm ci && npm start", "npm ci && npm test"]));
  });
});

describe("manifests in the documentation", () => {
  it("are there", () => expect(manifests.length).toBeGreaterThan(3));

  for (const block of manifests) {
    it(`${at(block)} passes the check`, async () => {
      const manifest = join(folder, `manifest-${block.line}.yaml`);
      writeFileSync(manifest, block.text);
      const { problems, plan } = await loadDistribution({ manifest, env: {}, builtIns: nodeBuiltIns() });
      expect(problems.map(({ message }) => message)).toEqual([]);
      expect(plan?.units.length).toBeGreaterThan(10);
    });
  }
});

// Their kits become tests of this file.
for (const { label } of code) {
  if (label.endsWith(".test.ts")) await import(/* @vite-ignore */ join(folder, label));
}
