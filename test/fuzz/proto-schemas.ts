import protobuf from "protobufjs";
import type { Dice } from "./dice.ts";

const scalars = [
  "double",
  "float",
  "int32",
  "int64",
  "uint32",
  "uint64",
  "sint32",
  "sint64",
  "fixed32",
  "fixed64",
  "sfixed32",
  "sfixed64",
  "bool",
  "string",
  "bytes",
];
const names = [
  "ts",
  "values",
  "params",
  "method",
  "a",
  "B_c",
  "constructor",
  "toJSON",
  "hasOwnProperty",
  "name",
  "type",
];
const keys = ["string", "int32", "int64", "bool"];

/** Source text of proto3 as an operator may have written it, with messages in messages, enumerations, maps and oneofs. */
export function schemaText(dice: Dice): string {
  const header = dice.chance(0.3) ? "package p.q;" : "";
  const types = ["Inner", "E"];
  const inner = `message Inner { ${fields(dice, ["Inner", "E"])} }`;
  const colours = "enum E { ZERO = 0; ONE = 1; NEGATIVE = -1; }";
  return `syntax = "proto3"; ${header} ${colours} ${inner} message Post { ${fields(dice, types)} }`;
}

function fields(dice: Dice, types: readonly string[]): string {
  const used = new Set(dice.some(6, () => dice.pick(names)));
  return [...used].map((name, i) => field(dice, { name, id: i + 1, types })).join(" ");
}

function field(dice: Dice, { name, id, types }: { name: string; id: number; types: readonly string[] }): string {
  const type = dice.chance(0.7) ? dice.pick(scalars) : dice.pick(types);
  switch (dice.below(6)) {
    case 0:
      return `repeated ${type} ${name} = ${id};`;
    case 1:
      return `optional ${type} ${name} = ${id};`;
    case 2:
      return `map<${dice.pick(keys)}, ${type}> ${name} = ${id};`;
    case 3:
      return `oneof one_${name} { ${type} ${name} = ${id}; }`;
    default:
      return `${type} ${name} = ${id};`;
  }
}

const integers = ["0", "1", "-1", "2147483647", "9007199254740993", "9223372036854775807", "-9223372036854775808"];
const doubles = [0, -0, 25, 0.1, 1e300, 5e-324, Number.NaN, Number.POSITIVE_INFINITY];
const texts = ["", "25", "a\u0000b", "{}", '"', "é😀", "__proto__"];

/** The bytes of a message of that type, each field there or not. */
export function messageOf(type: protobuf.Type, dice: Dice, depth = 0): Uint8Array {
  return type.encode(objectOf(type, dice, depth)).finish();
}

function objectOf(type: protobuf.Type, dice: Dice, depth: number): protobuf.Message {
  const members = type.fieldsArray.flatMap((field) => {
    if (dice.chance(0.3) || (depth > 4 && field.resolve().resolvedType instanceof protobuf.Type)) return [];
    return [[field.name, memberOf(field, dice, depth)] as const];
  });
  // Without a prototype: a field may be named as something that all objects have.
  return type.fromObject(Object.assign(Object.create(null), Object.fromEntries(members)));
}

function memberOf(field: protobuf.Field, dice: Dice, depth: number): unknown {
  const one = () => memberValue(field.resolve(), dice, depth);
  if (field instanceof protobuf.MapField) {
    const key = () => (field.keyType === "string" ? dice.pick(texts) : field.keyType === "bool" ? "true" : "7");
    return Object.fromEntries(dice.some(3, () => [key(), one()] as const));
  }
  return field.repeated ? dice.some(3, one) : one();
}

function memberValue({ type, resolvedType }: protobuf.Field, dice: Dice, depth: number): unknown {
  if (resolvedType instanceof protobuf.Type) return objectOf(resolvedType, dice, depth + 1);
  if (resolvedType !== null) return dice.pick([0, 1, -1, 77]);
  if (type === "double" || type === "float") return dice.pick(doubles);
  if (type === "bool") return dice.chance(0.5);
  if (type === "string") return dice.pick(texts);
  if (type === "bytes") return dice.bytes(dice.length(20));
  const integer = dice.pick(integers);
  return type.includes("64") ? integer : Number(BigInt.asIntN(32, BigInt(integer)));
}

/** The payload's type, by the library alone. */
export function lastType(source: string): protobuf.Type {
  const { root, package: name } = protobuf.parse(source, { keepCase: true });
  root.resolveAll();
  const scope = name === undefined ? root : (root.lookup(name) as protobuf.Namespace);
  return scope.nestedArray.findLast((one) => one instanceof protobuf.Type) as protobuf.Type;
}

/** Payloads of Sparkplug B, without the parts that are for other kinds of data. */
export const sparkplugSource = `syntax = "proto3";
  message Metric { optional string name = 1; optional uint64 alias = 2; optional uint64 timestamp = 3; optional uint32 datatype = 4; optional bool is_null = 7;
    oneof value { uint32 int_value = 10; uint64 long_value = 11; float float_value = 12; double double_value = 13; bool boolean_value = 14; string string_value = 15; bytes bytes_value = 16; } }
  message Payload { optional uint64 timestamp = 1; repeated Metric metrics = 2; optional uint64 seq = 3; }`;
