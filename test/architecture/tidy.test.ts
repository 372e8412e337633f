import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"));
const text = (file: string) => readFileSync(join(root, file), "utf8");
const isProduction = (file: string) =>
  /^(core|plugin-sdk|plugins)\//.test(file) && !/\.test\.ts$|\/testing\/|\/bench\//.test(file);

describe("the sources", () => {
  it("lie in the folders of the design, and nowhere else", () => {
    const top = execFileSync("git", ["ls-tree", "--name-only", "HEAD"], { cwd: root, encoding: "utf8" })
      .trim()
      .split("\n");
    const folders = ["core", "distributions", "docs", "plugin-sdk", "plugins", "test"];
    const own = [
      "LICENSE",
      "README.md",
      "biome.json",
      "package-lock.json",
      "package.json",
      "tsconfig.json",
      "tsconfig.build.json",
      "vitest.config.ts",
    ];
    expect(top.filter((name) => !name.startsWith(".") && !folders.includes(name) && !own.includes(name))).toEqual([]);
  });

  it("have at most 400 lines", () => {
    const long = files.filter((file) => text(file).split("\n").length > 401);
    expect(long).toEqual([]);
  });

  it("take time, chance and ids from World", () => {
    const banned = /\b(?:Date\.now|Math\.random|setTimeout|setInterval)\(/;
    // The real world, and the entry that keeps the process alive.
    const allowed = ["core/src/world/system-world.ts", "core/src/node.ts"];
    const breaking = files.filter((file) => isProduction(file) && !allowed.includes(file) && banned.test(text(file)));
    expect(breaking).toEqual([]);
  });

  it("name nothing Manager, Helper, Util, Impl or Base", () => {
    const bad = /\b(?:class|interface|type|function|const) \w*(?:Manager|Helper|Utils?|Impl|Base)\b/;
    expect(files.filter((file) => isProduction(file) && bad.test(text(file)))).toEqual([]);
  });

  it("skip no test and silence no tool", () => {
    const silenced = /@ts-(?:ignore|nocheck)|biome-ignore|eslint-disable|\b(?:it|test|describe)\.(?:only|todo)\(/;
    const here = "test/architecture/tidy.test.ts";
    expect(files.filter((file) => file !== here && silenced.test(text(file)))).toEqual([]);
  });
});
