import { invalid, type Plain } from "@heddle/plugin-sdk";
import protobuf from "protobufjs";
import { decode, doubleText, floatText, integerText, type Message } from "./protobuf/wire.ts";

/** Payloads of Sparkplug B 3.0; parts that nothing here uses are left out, and skipped when they are read. */
const source = `
syntax = "proto3";
message Metric {
  optional string name = 1; optional uint64 alias = 2; optional uint64 timestamp = 3; optional uint32 datatype = 4;
  optional bool is_null = 7;
  oneof value {
    uint32 int_value = 10; uint64 long_value = 11; float float_value = 12; double double_value = 13;
    bool boolean_value = 14; string string_value = 15; bytes bytes_value = 16;
  }
}
message Payload { optional uint64 timestamp = 1; repeated Metric metrics = 2; optional uint64 seq = 3; }
`;
const { root } = protobuf.parse(source, { keepCase: true });
const payloadType = root.lookupType("Payload");
const metricType = root.lookupType("Metric");

/** Datatypes of the specification's table 6.4.16, by number. */
const signed: ReadonlySet<number> = new Set([1, 2, 3]);
const small: ReadonlySet<number> = new Set([1, 2, 3, 5, 6, 7]);
const long: ReadonlySet<number> = new Set([4, 8, 13]);
const texts: ReadonlySet<number> = new Set([12, 14, 15]);
const [int64, float, double, boolean] = [4, 9, 10, 11];

export interface SparkplugMetric {
  /** Absent where an alias stands for it. */
  readonly name: string | undefined;
  readonly alias: string | undefined;
  /** ms since the epoch. */
  readonly ts: number | undefined;
  readonly datatype: number | undefined;
  /** JSON text; undefined for null and for kinds that have no place in a value. */
  readonly json: string | undefined;
}

export interface SparkplugPayload {
  readonly ts: number | undefined;
  readonly seq: number | undefined;
  readonly metrics: readonly SparkplugMetric[];
}

/** `datatypeOf` knows what a birth has announced of a metric that does not say it. Fault `device.payload`. */
export function readSparkplug(
  payload: Uint8Array,
  datatypeOf: (metric: Pick<SparkplugMetric, "name" | "alias">) => number | undefined,
): SparkplugPayload {
  const message = decode(payloadType, payload);
  return {
    ts: numberAt(message, "timestamp"),
    seq: numberAt(message, "seq"),
    metrics: (message["metrics"] as Message[]).map((metric) => {
      const name = Object.hasOwn(metric, "name") ? (metric["name"] as string) : undefined;
      const alias = Object.hasOwn(metric, "alias") ? String(metric["alias"]) : undefined;
      const datatype = numberAt(metric, "datatype") ?? datatypeOf({ name, alias });
      return { name, alias, ts: numberAt(metric, "timestamp"), datatype, json: valueText(metric, datatype) };
    }),
  };
}

/** A command with one metric; fault `input.invalid` when the value does not fit its datatype. */
export function writeSparkplug(
  metric: { readonly name: string; readonly datatype: number; readonly value: Plain },
  ts: number,
): Buffer {
  const { name, datatype } = metric;
  const content = { name, timestamp: ts, datatype, ...valueMembers(metric) };
  const message = { timestamp: ts, metrics: [metricType.fromObject(content)] };
  return Buffer.from(payloadType.encode(payloadType.fromObject(message)).finish());
}

function numberAt(message: Message, name: string): number | undefined {
  return Object.hasOwn(message, name) ? Number(message[name]) : undefined;
}

function valueText(metric: Message, datatype: number | undefined): string | undefined {
  if (metric["is_null"] === true && Object.hasOwn(metric, "is_null")) return undefined;
  const given = (name: string) => Object.hasOwn(metric, name);
  if (given("int_value")) {
    const value = metric["int_value"] as number;
    return String(datatype !== undefined && signed.has(datatype) ? value | 0 : value);
  }
  if (given("long_value")) {
    const digits = BigInt(integerText(metric["long_value"]));
    return String(datatype === int64 ? BigInt.asIntN(64, digits) : digits);
  }
  if (given("float_value")) return floatText(metric["float_value"]);
  if (given("double_value")) return doubleText(metric["double_value"]);
  if (given("boolean_value")) return String(metric["boolean_value"]);
  if (given("string_value")) return JSON.stringify(metric["string_value"]);
  return given("bytes_value") ? JSON.stringify(Buffer.from(metric["bytes_value"]).toString("base64")) : undefined;
}

function valueMembers({ name, datatype, value }: { name: string; datatype: number; value: Plain }): Message {
  const wrong = () => invalid(`the value of ${name} does not fit its Sparkplug datatype ${datatype}`);
  if (small.has(datatype) || long.has(datatype)) {
    const number = typeof value === "bigint" ? value : Number(value);
    if (typeof number === "number" && !Number.isInteger(number)) throw wrong();
    if (small.has(datatype)) return { int_value: Number(BigInt.asUintN(32, BigInt(number))) };
    return { long_value: BigInt.asUintN(64, BigInt(number)).toString() };
  }
  if (datatype === boolean && typeof value === "boolean") return { boolean_value: value };
  if (texts.has(datatype)) return { string_value: String(value) };
  const number = Number(value);
  if ((datatype !== float && datatype !== double) || Number.isNaN(number)) throw wrong();
  return datatype === float ? { float_value: number } : { double_value: number };
}

export interface SparkplugTopic {
  readonly group: string;
  readonly type: "NBIRTH" | "NDATA" | "NDEATH" | "NCMD" | "DBIRTH" | "DDATA" | "DDEATH" | "DCMD";
  readonly node: string;
  readonly device: string | undefined;
}

const types = new Set(["NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD"]);

/** `spBv1.0/{group}/{type}/{node}[/{device}]`, which may stand behind the namespace for certificates. */
export function readSparkplugTopic(text: string): SparkplugTopic | undefined {
  const [namespace, group, type, node, device, ...more] = text.replace(/^\$sparkplug\/certificates\//, "").split("/");
  if (namespace !== "spBv1.0" || !group || !node || type === undefined || !types.has(type) || more.length > 0) {
    return undefined;
  }
  if (type.startsWith("D") !== (device !== undefined && device !== "")) return undefined;
  return { group, type: type as SparkplugTopic["type"], node, device };
}
