import { Fault, type TSchema } from "@heddle/plugin-sdk";
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";

const shared = { allErrors: false, strict: false } as const;
/** Schemas are compiled when the first request needs them: most never are, and compiling takes milliseconds. */
const compiled = new WeakMap<TSchema, ValidateFunction>();
const engines: { body?: Ajv; query?: Ajv } = {};

function validator(schema: TSchema, kind: "body" | "query"): ValidateFunction {
  let validate = compiled.get(schema);
  if (validate === undefined) {
    engines[kind] ??= new Ajv({ ...shared, coerceTypes: kind === "query" });
    validate = engines[kind].compile(schema);
    compiled.set(schema, validate);
  }
  return validate;
}

/** Fault `api.body` that names the member and the rule. */
export function checkBody(schema: TSchema, body: unknown): void {
  const validate = validator(schema, "body");
  if (validate(body)) return;
  throw new Fault("invalid", "api.body", `Request body${described(validate.errors?.[0])}`);
}

/** Numbers and booleans are read in place. Fault `api.query` that names the parameter. */
export function checkQuery(schema: TSchema, query: unknown): void {
  const validate = validator(schema, "query");
  if (validate(query)) return;
  const error = validate.errors?.[0];
  const missing =
    error?.keyword === "required" ? (error.params as { missingProperty: string }).missingProperty : undefined;
  const text =
    missing === undefined
      ? `Request parameter${described(error)}`
      : `Required request parameter '${missing}' is not present`;
  throw new Fault("invalid", "api.query", text);
}

function described(error: ErrorObject | undefined): string {
  const where = error?.instancePath === "" || error === undefined ? "" : ` '${error.instancePath.slice(1)}'`;
  return `${where} ${error?.message ?? "is invalid"}`;
}
