import type { JsonSchema } from "../../core/src/manifest/json-schema.ts";
import { ManifestSchema } from "../../core/src/manifest/schema.ts";
import { fieldTable } from "./fields.ts";
import { code, page, table } from "./markdown.ts";

/** What a manifest may say beside the plugins' own configuration. */
export function manifestPage(): string {
  const schema = ManifestSchema as unknown as JsonSchema;
  const roles = schema.properties?.["plugins"]?.patternProperties ?? {};
  const [entry] = Object.values(roles);
  const extending = [code("extends"), "string", "", "Path or package of the manifest below this one."];
  return page(
    "Manifest",
    "Every field of a distribution's manifest. [Compose](../compose/README.md) shows how they are used; `npm run -s heddle -- config schema` prints a JSON Schema that includes the plugins' own fields.",
    [
      table(["field", "type", "default", ""], [extending]),
      fieldTable(schema),
      `## A role under ${code("plugins")}`,
      entry === undefined ? "" : fieldTable(entry),
      "## Durations and sizes",
      "A duration is a text with a unit (`250ms`, `30s`, `5m`, `2h`, `7d`) or a number of milliseconds. A size of type bytes is a text with a unit (`64KB`, `16MB`, `2GB`, powers of 1024) or a number of bytes.",
    ],
  );
}
