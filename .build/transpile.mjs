// Brings the dist folders up to date with the sources, file by file and without type checks: fast enough to run before
// every start. `npm run build` makes the same, checked and with declarations.
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { transformSync } from "esbuild";

const root = resolve(import.meta.dirname, "..");
const packages = ["plugin-sdk", "core", ...readdirSync(join(root, "plugins")).map((name) => `plugins/${name}`)];

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (/\.ts$/.test(entry.name) && !/\.(test|d)\.ts$/.test(entry.name)) yield path;
  }
}

const changedAt = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
/** Relative specifiers name sources; what is emitted lies beside each other as JavaScript. */
const specifier = /((?:\bfrom|\bimport)\s*\(?\s*["']\.{1,2}\/[^"'\n]+)\.ts(["'])/g;

let count = 0;
for (const name of packages) {
  for (const part of ["src", "bin", "testing"]) {
    const folder = join(root, name, part);
    if (
      statSync(folder, { throwIfNoEntry: false }) === undefined ||
      (part === "testing" && name.startsWith("plugins/"))
    )
      continue;
    for (const path of sources(folder)) {
      const target = join(root, name, "dist", path.slice(join(root, name).length)).replace(/\.ts$/, ".js");
      if (changedAt(target) >= changedAt(path)) continue;
      const { code } = transformSync(readFileSync(path, "utf8"), {
        loader: "ts",
        format: "esm",
        target: "node20",
        sourcefile: path,
      });
      mkdirSync(dirname(target), { recursive: true });
      // Whole or not at all: another start may be reading.
      const draft = `${target}.${process.pid}`;
      writeFileSync(draft, code.replace(specifier, "$1.js$2"));
      renameSync(draft, target);
      count++;
    }
  }
}
if (process.argv.includes("--verbose")) console.error(`${count} files transpiled`);
