import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const cruiser = join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
const folders = ["core", "plugin-sdk", "plugins", "distributions", "test", "docs"];
/** Fewer modules than this means that the tool did not see the sources, and then its silence proves nothing. */
const leastModules = 300;

interface Report {
  readonly summary: {
    readonly totalCruised: number;
    readonly violations: readonly { readonly rule: { readonly name: string }; readonly from: string }[];
  };
}

function cruise(cwd: string): Report {
  const args = [cruiser, "--config", ".dependency-cruiser.cjs", "--output-type", "json", ...folders];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8", maxBuffer: 256 * 1024 * 1024 });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Report;
}

let planted: string | undefined;
afterEach(() => {
  if (planted !== undefined) rmSync(planted, { recursive: true, force: true });
});

/** A tree of the same shape with the given files. */
function plant(files: Readonly<Record<string, string>>): string {
  planted = mkdtempSync(join(tmpdir(), "heddle-rules-"));
  for (const name of [".dependency-cruiser.cjs", "tsconfig.json", "package.json"])
    cpSync(join(root, name), join(planted, name));
  for (const folder of folders) mkdirSync(join(planted, folder));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(planted, path)), { recursive: true });
    writeFileSync(join(planted, path), text);
  }
  symlinkSync(join(root, "node_modules"), join(planted, "node_modules"));
  return planted;
}

const broken = (report: Report) => report.summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`).sort();

describe("import rules", () => {
  it("hold in this repository, and the tool really reads it", { timeout: 120_000 }, () => {
    const report = cruise(root);
    expect(report.summary.totalCruised).toBeGreaterThan(leastModules);
    expect(broken(report)).toEqual([]);
  });

  it("catch planted violations", { timeout: 60_000 }, () => {
    const at = plant({
      "core/src/a.ts": 'import "../../plugins/one/src/a.ts";\n',
      "core/testing/a.ts": "export {};\n",
      "plugin-sdk/src/a.ts": 'import "../../core/src/b.ts";\n',
      "core/src/b.ts": "export {};\n",
      "plugins/one/src/a.ts": "export {};\n",
      "plugins/two/src/a.ts": 'import "../../one/src/a.ts";\n',
      "plugins/two/src/b.ts": 'import "../../../core/testing/a.ts";\n',
      "plugins/two/src/b.test.ts": 'import "../../../core/testing/a.ts";\n',
      "plugins/two/src/c.ts": 'import "./not-there.ts";\n',
    });
    expect(broken(cruise(at))).toEqual([
      "core-knows-no-plugin: core/src/a.ts",
      "only-tests-use-core-testing: plugins/two/src/b.ts",
      "plugins-meet-only-through-capabilities: plugins/two/src/a.ts",
      "resolvable: plugins/two/src/c.ts",
      "sdk-stands-alone: plugin-sdk/src/a.ts",
    ]);
  });
});
