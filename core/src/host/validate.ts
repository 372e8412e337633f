import { decodeKeyword } from "@heddle/plugin-sdk";
import { Ajv, type ErrorObject } from "ajv";
import addFormats from "ajv-formats";
import { childSchemas, type JsonSchema, propertyNames } from "../manifest/json-schema.ts";
import { suggestion } from "../manifest/nearest.ts";
import type { Problems } from "../manifest/problems.ts";
import { nodeAt, originAt, type Path, pathText, type Tree, valueOriginAt } from "../manifest/tree.ts";

/** What is validated: the part of a manifest below `path`, and how problems name it. */
export interface Subject {
  readonly tree: Tree;
  readonly path: Path;
  /** Put before each message: the plugin whose schema it is. */
  readonly prefix: string;
  /** Way out where the schema itself offers none. */
  readonly hint: string;
}

const options = {
  allErrors: true,
  strict: true,
  allowUnionTypes: true,
  verbose: true,
  validateSchema: false,
  // Each schema is used once per start: optimizing the generated code costs more than it saves.
  code: { optimize: false },
} as const;

/** Two of these: one fills defaults in, the other only looks. */
function makeAjv(useDefaults: boolean): Ajv {
  const ajv = new Ajv({ ...options, useDefaults });
  (addFormats as unknown as (target: Ajv) => void)(ajv);
  ajv.addKeyword({ keyword: decodeKeyword });
  return ajv;
}
let filling: Ajv | undefined;
let looking: Ajv | undefined;

/** Fills defaults into `value`, which must be a fresh copy, and reports what the schema forbids; true when nothing. */
export function validate(schema: JsonSchema, value: unknown, subject: Subject, problems: Problems): boolean {
  filling ??= makeAjv(true);
  const check = filling.compile(schema);
  if (check(value)) return true;
  for (const error of withoutBranches(check.errors ?? [])) report(error, { schema, value, subject, problems });
  return false;
}

/** Whether a value fits, changing nothing. */
export function fits(schema: JsonSchema, value: unknown): boolean {
  looking ??= makeAjv(false);
  return looking.validate(schema, value) as boolean;
}

/** A union that nothing fits is one problem, not one for each of its branches. */
function withoutBranches(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const unions = errors.filter(({ keyword }) => keyword === "anyOf" || keyword === "oneOf");
  return errors.filter((error) => !unions.some((union) => union !== error && isInside(error, union)));
}

function isInside(error: ErrorObject, union: ErrorObject): boolean {
  return error.schemaPath.startsWith(`${union.schemaPath}/`) && error.instancePath.startsWith(union.instancePath);
}

interface Report {
  readonly schema: JsonSchema;
  readonly value: unknown;
  readonly subject: Subject;
  readonly problems: Problems;
}

function report(error: ErrorObject, { schema, value, subject, problems }: Report): void {
  const { path: at, schemas } = located(error.instancePath, value, schema);
  const field = fieldOf(error);
  const own = field === undefined ? at : [...at, field];
  const path = [...subject.path, ...own];
  const node = nodeAt(subject.tree, path);
  if (node?.kind === "scalar" && node.failed) return;
  const isKey = error.keyword === "additionalProperties";
  const origin = isKey ? originAt(subject.tree, path) : valueOriginAt(subject.tree, path);
  const wanted = field === undefined ? schemas : childSchemas(schemas, field);
  const description = wanted.map((one) => one["description"]).find((text) => typeof text === "string");
  const message = `${subject.prefix}${messageOf(error)}`;
  problems.add({
    at: origin,
    path: pathText(path),
    message,
    hint: wayOut(error, schemas) ?? description ?? subject.hint,
  });
}

/** The property that an error about an object means. */
function fieldOf(error: ErrorObject): string | undefined {
  const { additionalProperty, missingProperty } = error.params as Record<string, string | undefined>;
  return additionalProperty ?? missingProperty;
}

function located(pointer: string, value: unknown, schema: JsonSchema): { path: Path; schemas: readonly JsonSchema[] } {
  const path: (string | number)[] = [];
  let schemas: readonly JsonSchema[] = [schema];
  let inner = value;
  for (const part of pointer.split("/").slice(1)) {
    const text = part.replaceAll("~1", "/").replaceAll("~0", "~");
    const key = Array.isArray(inner) ? Number(text) : text;
    path.push(key);
    schemas = childSchemas(schemas, key);
    inner = (inner as Record<string, unknown> | undefined)?.[text];
  }
  return { path, schemas };
}

/** What is wrong, without the value: it may be a secret. */
function messageOf(error: ErrorObject): string {
  const parent = error.parentSchema as JsonSchema | undefined;
  switch (error.keyword) {
    case "additionalProperties":
      return `there is no "${error.params["additionalProperty"]}" here`;
    case "required":
      return `"${error.params["missingProperty"]}" is missing`;
    case "type":
      return `must be ${[parent?.type].flat().join(" or ")}, is ${typeName(error.data)}`;
    case "enum":
      return `must be one of ${(parent?.enum ?? []).join(", ")}`;
    case "anyOf":
    case "oneOf":
      return `must be one of ${forms(parent).join(", ")}`;
    case "pattern":
      return patternMessage(parent) ?? error.message ?? "has the wrong form";
    default:
      return error.message ?? error.keyword;
  }
}

function patternMessage(schema: JsonSchema | undefined): string | undefined {
  if (schema?.[decodeKeyword] === "duration") return "must be a duration such as 250ms, 30s, 5m, 2h or 7d";
  if (schema?.[decodeKeyword] === "bytes") return "must be a size such as 512B, 64KB, 16MB or 2GB";
  return undefined;
}

function forms(schema: JsonSchema | undefined): readonly string[] {
  return [...(schema?.anyOf ?? schema?.oneOf ?? [])].map((one) => {
    if ("const" in one) return String(one["const"]);
    return patternMessage(one)?.replace("must be ", "") ?? `a value of type ${[one.type ?? "any"].flat().join(" or ")}`;
  });
}

function wayOut(error: ErrorObject, schemas: readonly JsonSchema[]): string | undefined {
  if (error.keyword === "additionalProperties") {
    return suggestion(String(error.params["additionalProperty"]), propertyNames(schemas), "known here");
  }
  const parent = error.parentSchema as JsonSchema | undefined;
  const words = [...(parent?.enum ?? []), ...(parent?.anyOf ?? []).map((one) => one["const"])];
  const texts = words.filter((word): word is string => typeof word === "string");
  if (typeof error.data !== "string" || texts.length === 0) return undefined;
  const near = suggestion(error.data, texts, "");
  return near?.startsWith("did") ? near : undefined;
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a map" : typeof value;
}
