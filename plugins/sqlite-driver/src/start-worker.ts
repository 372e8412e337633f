import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

const bundles = new Map<string, string>();

/**
 * Runs a worker's module. A worker does not inherit tsx, whose loader registers itself on main threads only: from source,
 * esbuild, which tsx brings, makes one script of it, once for the process.
 */
export function startWorker(url: URL, workerData: unknown): Worker {
  if (!url.pathname.endsWith(".ts")) return new Worker(url, { workerData });
  let script = bundles.get(url.href);
  if (script === undefined) {
    script = bundled(url);
    bundles.set(url.href, script);
  }
  return new Worker(script, { eval: true, workerData });
}

interface Bundler {
  buildSync(options: Readonly<Record<string, unknown>>): { readonly outputFiles: readonly { readonly text: string }[] };
}

function bundled(url: URL): string {
  const require = createRequire(import.meta.url);
  const esbuild = createRequire(require.resolve("tsx/package.json"))("esbuild") as Bundler;
  const { outputFiles } = esbuild.buildSync({
    entryPoints: [fileURLToPath(url)],
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "node20",
    conditions: ["source"],
    // Drivers are looked up from this package, wherever the script runs.
    define: { "import.meta.url": JSON.stringify(import.meta.url) },
  });
  return (outputFiles[0] as { text: string }).text;
}
