// Compiles every package to ESM and declarations in its own dist folder: one program, spread over the packages.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const out = mkdtempSync(join(tmpdir(), "heddle-build-"));
try {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", out], { stdio: "inherit" });
  const packages = ["plugin-sdk", "core", ...readdirSync(join(root, "plugins")).map((name) => `plugins/${name}`)];
  for (const name of packages) {
    const dist = join(root, name, "dist");
    rmSync(dist, { recursive: true, force: true });
    if (existsSync(join(out, name))) cpSync(join(out, name), dist, { recursive: true });
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
