import { isSecretField } from "../host/config.ts";
import type { LoadedDistribution } from "../host/distribution.ts";
import { childSchemas, type JsonSchema } from "../manifest/json-schema.ts";
import { placeText } from "../manifest/problems.ts";
import { composedSchema, ManifestSchema } from "../manifest/schema.ts";
import type { Origin, Path, Scalar, Tree } from "../manifest/tree.ts";
import { type Command, exit } from "./command.ts";
import { jsonText, loadFor, printProblems, problemsJson } from "./distribution.ts";

/** The JSON Schema on the output, problems on the error stream. */
export const schema: Command = async (line, terminal) => {
  const loaded = await loadFor(line.positionals[0], line, terminal);
  const roles = loaded.instances
    .filter(({ file }) => file !== undefined)
    .map(({ id, plugin }) => ({ role: id, summary: plugin.summary, config: plugin.config as unknown as JsonSchema }));
  terminal.out(jsonText(composedSchema(roles)));
  if (loaded.problems.length > 0) printProblems(loaded, terminal);
  return loaded.problems.length === 0 ? exit.ok : exit.problems;
};

/** Every value of the merged manifest with the place it was written at. */
export const print: Command = async (line, terminal) => {
  const loaded = await loadFor(line.positionals[0], line, terminal);
  const values = [...leaves(loaded)];
  if (line.json) {
    const entries = values.map(({ path, value, at }) => ({
      path: path.join("."),
      value,
      file: at.source,
      line: at.line,
      column: at.column,
    }));
    terminal.out(jsonText({ values: entries, ...problemsJson(loaded) }));
  } else {
    const texts = values.map(
      ({ path, value, at }) => [`${path.join(".")}: ${JSON.stringify(value)}`, placeText(at, terminal.cwd)] as const,
    );
    const width = Math.min(72, Math.max(0, ...texts.map(([text]) => text.length)));
    for (const [text, place] of texts) terminal.out(`${text.padEnd(width)}  # ${place}`);
    printProblems(loaded, terminal);
  }
  return loaded.problems.length === 0 ? exit.ok : exit.problems;
};

interface Leaf {
  readonly path: Path;
  readonly value: unknown;
  readonly at: Origin;
}

function* leaves(loaded: LoadedDistribution): Generator<Leaf> {
  const configs = new Map(loaded.instances.map(({ id, plugin }) => [id, plugin.config as unknown as JsonSchema]));
  // What is not known cannot be shown: without its schema, any field of a config may be a secret.
  const hidden = new Set(loaded.failedRoles);
  yield* walk(loaded.tree, [], [ManifestSchema as unknown as JsonSchema]);

  function* walk(tree: Tree, path: Path, schemas: readonly JsonSchema[]): Generator<Leaf> {
    const [top, role, field] = path;
    const inConfig = path.length === 3 && top === "plugins" && field === "config";
    const own = inConfig && configs.has(String(role)) ? [configs.get(String(role))!] : schemas;
    if (tree.kind === "map") {
      for (const [key, entry] of tree.entries) yield* walk(entry.value, [...path, key], childSchemas(own, key));
      if (tree.entries.size === 0) yield { path, value: {}, at: tree.at };
    } else if (tree.kind === "list") {
      for (const [index, item] of tree.items.entries()) yield* walk(item, [...path, index], childSchemas(own, index));
      if (tree.items.length === 0) yield { path, value: [], at: tree.at };
    } else {
      const unknown = top === "plugins" && field === "config" && hidden.has(String(role));
      yield { path, value: unknown || isSecret(tree, own) ? "***" : tree.value, at: tree.at };
    }
  }
}

function isSecret(scalar: Scalar, schemas: readonly JsonSchema[]): boolean {
  return scalar.secret === true || isSecretField(schemas);
}
