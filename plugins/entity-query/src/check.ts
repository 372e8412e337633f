import { invalid, type TSchema } from "@heddle/plugin-sdk";
import { Ajv, type ValidateFunction } from "ajv";

let engine: Ajv | undefined;

/** Checks values by a schema, which is compiled when the first one comes. Fault `input.invalid` that says what and where. */
export function checkOf(schema: TSchema, what: string): (value: unknown) => void {
  let validate: ValidateFunction | undefined;
  return (value) => {
    engine ??= new Ajv({ strict: false });
    validate ??= engine.compile(schema);
    if (!validate(value)) throw invalid(`${what}: ${engine.errorsText(validate.errors, { dataVar: "it" })}`);
  };
}
