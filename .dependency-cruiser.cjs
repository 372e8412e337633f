/** The import rules of the architecture, by package name and by relative path. */
const rule = (name, from, to, comment) => ({ name, severity: "error", comment, from, to });

module.exports = {
  forbidden: [
    rule(
      "plugins-meet-only-through-capabilities",
      { path: "^plugins/([^/]+)/", pathNot: "^plugins/((sqlite|cassandra)-driver|payload-codec)/" },
      {
        path: "^(core|plugins|distributions|test|docs)/",
        pathNot: ["^plugins/$1/", "^plugins/((sqlite|cassandra)-driver|payload-codec)/", "^core/testing/"],
      },
      "A plugin imports the SDK, its own files and its own driver.",
    ),
    rule(
      "only-tests-use-core-testing",
      { path: "^plugins/", pathNot: ["\\.test\\.ts$", "/testing/", "/bench/"] },
      { path: "^core/" },
      "core/testing is for test files.",
    ),
    rule(
      "core-knows-no-plugin",
      { path: "^core/" },
      { path: "^(plugins|distributions|test|docs)/" },
      "The kernel imports the SDK only.",
    ),
    rule(
      "sdk-stands-alone",
      { path: "^plugin-sdk/" },
      { path: "^(core|plugins|distributions|test|docs)/" },
      "Contracts import nobody.",
    ),
    rule(
      "distributions-are-data",
      { path: "^distributions/" },
      { path: "^(plugins|plugin-sdk|test|docs)/" },
      "main.ts may import core.",
    ),
    rule(
      "docs-read-core-and-sdk",
      { path: "^docs/" },
      { path: "^(plugins|distributions|test)/" },
      "Pages are generated from definitions.",
    ),
    rule(
      "no-circles",
      {},
      { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
      "Modules form a hierarchy.",
    ),
    rule("resolvable", {}, { couldNotResolve: true }, "Every import leads somewhere."),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(node_modules|dist)/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { conditionNames: ["source", "node", "import", "default"], exportsFields: ["exports"] },
  },
};
