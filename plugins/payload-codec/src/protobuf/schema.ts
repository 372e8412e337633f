import { invalid } from "@heddle/plugin-sdk";
import protobuf from "protobufjs";

/** Characters of a schema; they come from users, and are parsed on every node. */
const longestSchema = 64 * 1024;

/** The payload's message of a proto3 source text: the last one of the file (device-api 2.13). Fault `input.invalid`. */
export function payloadType(source: string, label: string): protobuf.Type {
  if (source.length > longestSchema) {
    throw invalid(`[Transport Configuration] ${label} has ${source.length} characters, the limit is ${longestSchema}!`);
  }
  // A field of this name would set the prototype of what is decoded.
  if (/\b__proto__\b/.test(source)) throw invalid(`[Transport Configuration] ${label} names something __proto__!`);
  const parsed = parse(source, label);
  if ((parsed.imports?.length ?? 0) + (parsed.weakImports?.length ?? 0) > 0) {
    throw invalid(`[Transport Configuration] invalid ${label} provided! Schema file shouldn't contain imports!`);
  }
  const scope = parsed.package === undefined ? parsed.root : parsed.root.lookup(parsed.package);
  const members = (scope as protobuf.NamespaceBase | null)?.nestedArray ?? [];
  if (members.some((member) => member instanceof protobuf.Service)) {
    throw invalid(`[Transport Configuration] invalid ${label} provided! Schema file shouldn't contain services!`);
  }
  const type = members.findLast((member) => member instanceof protobuf.Type);
  if (!(type instanceof protobuf.Type)) {
    throw invalid(
      `[Transport Configuration] invalid ${label} provided! At least one Message definition should exists!`,
    );
  }
  return type;
}

function parse(source: string, label: string): protobuf.IParserResult {
  let result: protobuf.IParserResult;
  try {
    result = protobuf.parse(source, { keepCase: true });
    result.root.resolveAll();
  } catch (error) {
    throw invalid(`[Transport Configuration] failed to parse ${label} due to: ${reasonOf(error as Error, source)}`);
  }
  if (!/^\s*(?:(?:\/\/[^\n]*|\/\*[\s\S]*?\*\/)\s*)*syntax\s*=\s*["']proto3["']\s*;/.test(source)) {
    throw invalid(`[Transport Configuration] invalid schema syntax: not proto3 for ${label} provided!`);
  }
  return result;
}

/** With the column, which the parser does not tell, in the words that clients know. */
function reasonOf({ message }: Error, source: string): string {
  const [, label = "", line = ""] = /^illegal token '(.*)' \(line (\d+)\)$/s.exec(message) ?? [];
  const column = source.split("\n")[Number(line) - 1]?.indexOf(label) ?? -1;
  return label === "" || column < 0 ? message : `Syntax error in :${line}:${column + 1}: unexpected label: ${label}`;
}

/** Telemetry with a time of its own has `optional int64 ts` beside the message `values` (device-api 2.13). */
export function checkTelemetryType(type: protobuf.Type, label: string): void {
  const { ts, values } = type.fields;
  if (ts === undefined && values === undefined) return;
  if (ts !== undefined && (ts.type !== "int64" || !isOptional(ts))) {
    throw invalid(`[Transport Configuration] invalid ${label} provided! Field 'ts' should be optional int64!`);
  }
  if (values !== undefined && !(values.resolve().resolvedType instanceof protobuf.Type)) {
    throw invalid(`[Transport Configuration] invalid ${label} provided! Field 'values' should be a message!`);
  }
}

/** `optional string method`, `optional int32 requestId`, and `params` of any kind. */
export function checkRpcRequestType(type: protobuf.Type, label: string): void {
  const wanted = { method: "string", requestId: "int32" } as const;
  for (const [name, kind] of Object.entries(wanted)) {
    const field = type.fields[name];
    if (field === undefined) {
      throw invalid(
        `[Transport Configuration] invalid ${label} provided! Failed to get field descriptor for field: ${name}!`,
      );
    }
    if (field.type !== kind || !isOptional(field)) {
      throw invalid(`[Transport Configuration] invalid ${label} provided! Field '${name}' should be optional ${kind}!`);
    }
  }
}

const isOptional = (field: protobuf.Field) => !field.repeated && field.partOf !== null;
