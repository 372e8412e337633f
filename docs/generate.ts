import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { madePages, pageFile, stalePages } from "./generator/pages.ts";

/** `npm run docs` writes the made pages; with `--check` it only names those that are not current, and exits with 1. */
const pages = await madePages();
const stale = stalePages(pages);
if (process.argv.includes("--check")) {
  for (const name of stale) process.stdout.write(`docs/${name} is stale: npm run docs\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const name of stale) {
    const file = pageFile(name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, pages.get(name) ?? "");
    process.stdout.write(`wrote docs/${name}\n`);
  }
}
