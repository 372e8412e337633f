import { resolve } from "node:path";
import { mergeConfig } from "vitest/config";
import all from "../../vitest.config.ts";

const config = mergeConfig(all, {
  root: resolve(import.meta.dirname, "../.."),
  test: { fileParallelism: false, testTimeout: 60_000, hookTimeout: 120_000 },
});
// One file after the other: they stop, freeze and cut off the services that they share.
config.test.include = ["test/services/**/*.test.ts"];
config.test.exclude = ["**/node_modules/**"];
// Node is started with these. It adds `import` or `require` itself: `import` forced on a `require` gives a CommonJS driver the
// wrong half of a package.
config.ssr.resolve.conditions = ["source", "node"];

export default config;
