import type protobuf from "protobufjs";
import { doubleText, floatText, integerText, type Message } from "./wire.ts";

/**
 * A message of a profile's schema as JSON text. Plain fields appear with their default when they were not sent; `optional`
 * ones and sub-messages only when they were (device-api 2.13).
 */
export function printMessage(type: protobuf.Type, message: Message): string {
  const members: string[] = [];
  for (const field of type.fieldsArray) {
    const { name } = field.resolve();
    if (field.repeated) members.push(`${JSON.stringify(name)}:[${printAll(field, message[name] ?? [])}]`);
    else if (field.map) members.push(`${JSON.stringify(name)}:${printMap(field, message[name] ?? {})}`);
    else if (Object.hasOwn(message, name)) members.push(`${JSON.stringify(name)}:${printValue(field, message[name])}`);
    else if (!hasPresence(field)) members.push(`${JSON.stringify(name)}:${printValue(field, field.typeDefault)}`);
  }
  return `{${members.join(",")}}`;
}

/** Whether a field that was not sent can be told from one that was sent with its default. */
function hasPresence(field: protobuf.Field): boolean {
  return isMessage(field) || field.partOf !== null;
}

const isMessage = ({ resolvedType }: protobuf.Field) => resolvedType !== null && "fieldsArray" in resolvedType;

function printAll(field: protobuf.Field, values: readonly unknown[]): string {
  return values.map((value) => printValue(field, value)).join(",");
}

function printMap(field: protobuf.Field, values: Readonly<Record<string, unknown>>): string {
  const members = Object.entries(values).map(([key, value]) => `${JSON.stringify(key)}:${printValue(field, value)}`);
  return `{${members.join(",")}}`;
}

function printValue(field: protobuf.Field, value: unknown): string {
  const { resolvedType, type } = field;
  if (resolvedType !== null) {
    if ("fieldsArray" in resolvedType) return printMessage(resolvedType, value as Message);
    const name = resolvedType.valuesById[value as number];
    return name === undefined ? String(value) : JSON.stringify(name);
  }
  switch (type) {
    case "double":
      return doubleText(value as number);
    case "float":
      return floatText(value as number);
    case "string":
      return JSON.stringify(value);
    case "bytes":
      return JSON.stringify(Buffer.from(value as Uint8Array).toString("base64"));
    case "bool":
      return String(value);
    default:
      return integerText(value);
  }
}
