import { defineConfig } from "vitest/config";

// Workspace packages resolve to their sources through the `source` condition; nothing is built before a test.
const conditions = ["source", "node", "import", "module", "default"];

const report = process.env["TEST_REPORT"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ["{core,plugin-sdk,plugins,distributions,test,docs}/**/*.test.ts"],
    // What needs real services has a run of its own: `npm run test:services`.
    exclude: ["**/node_modules/**", "**/dist/**", "test/services/**"],
    setupFiles: ["./test/setup.ts"],
    isolate: false,
    // Plugins outside the repository import the SDK, whose sources only vitest's own loader reads.
    server: { deps: { inline: [/heddle/] } },
    testTimeout: 20_000,
    hookTimeout: 30_000,
    pool: "threads",
    // Most files wait more than they work: more of them than cores.
    maxWorkers: 3,
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
  },
});
