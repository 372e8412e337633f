import { type Decoding, decodeKeyword, parseBytes, parseDuration, Secret } from "@heddle/plugin-sdk";
import { toValue } from "../manifest/convert.ts";
import { branches, childSchemas, type JsonSchema } from "../manifest/json-schema.ts";
import type { Problems } from "../manifest/problems.ts";
import { nodeAt, type Path, pathText, type Tree } from "../manifest/tree.ts";
import { fits, type Subject, validate } from "./validate.ts";

/** The value at the subject's path: validated, defaults filled in, decoded, deeply frozen; undefined with problems. */
export function readConfig(schema: JsonSchema, subject: Subject, problems: Problems): unknown {
  const written = nodeAt(subject.tree, subject.path);
  if (written !== undefined) warnOfLiteralSecrets(written, [schema], { subject, problems, path: subject.path });
  const value = written === undefined ? {} : toValue(written, [schema]);
  if (!validate(schema, value, subject, problems)) return undefined;
  return deepFreeze(decode(value, [schema]));
}

/**
 * Turns what a manifest can write into what code uses. A pass of its own: decoding inside the validator would change
 * values that later keywords of the same schema still read.
 */
export function decode(value: unknown, schemas: readonly JsonSchema[]): unknown {
  const applying = schemas.flatMap((one) => matching(one, value));
  if (Array.isArray(value)) return value.map((item, index) => decode(item, childSchemas(applying, index)));
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, inner]) => [key, decode(inner, childSchemas(applying, key))]);
    return Object.fromEntries(entries);
  }
  const keyword = applying.map((one) => one[decodeKeyword]).find((found) => found !== undefined);
  return keyword === undefined ? value : decodeScalar(value, keyword as Decoding);
}

function decodeScalar(value: unknown, decoding: Decoding): unknown {
  if (decoding === "secret") return typeof value === "string" ? new Secret(value) : value;
  if (typeof value !== "string" && typeof value !== "number") return value;
  return decoding === "duration" ? parseDuration(value) : parseBytes(value);
}

/** The schema without its unions, and of each union the branches that the value fits. */
function matching(schema: JsonSchema, value: unknown): readonly JsonSchema[] {
  const { anyOf, oneOf, allOf, ...own } = schema;
  const chosen = [...(anyOf ?? []), ...(oneOf ?? [])].filter((one) => fits(one, value));
  return [own, ...[...chosen, ...(allOf ?? [])].flatMap((one) => matching(one, value))];
}

/** True when any reading of the field is a secret. */
export function isSecretField(schemas: readonly JsonSchema[]): boolean {
  return schemas.flatMap((one) => [...branches(one)]).some((one) => one[decodeKeyword] === "secret");
}

interface Walk {
  readonly subject: Subject;
  readonly problems: Problems;
  readonly path: Path;
}

function warnOfLiteralSecrets(tree: Tree, schemas: readonly JsonSchema[], walk: Walk): void {
  if (tree.kind === "list") {
    for (const [index, item] of tree.items.entries()) {
      warnOfLiteralSecrets(item, childSchemas(schemas, index), { ...walk, path: [...walk.path, index] });
    }
  } else if (tree.kind === "map") {
    for (const [key, entry] of tree.entries) {
      warnOfLiteralSecrets(entry.value, childSchemas(schemas, key), { ...walk, path: [...walk.path, key] });
    }
  } else if (tree.text === undefined && !tree.failed && typeof tree.value === "string" && isSecretField(schemas)) {
    const message = `${walk.subject.prefix}a secret is written in the manifest`;
    const hint = `keep it in a file: \${secret:name} reads it from node.secretsDir; \${env:NAME} from the environment`;
    walk.problems.warn({ at: tree.at, path: pathText(walk.path), message, hint });
  }
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || value instanceof Secret) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
