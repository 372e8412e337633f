import { describe, expect, it } from "vitest";
import { decodeRuleRecord, encodeMsg } from "../services/rule-record.ts";
import { decodePlain, encodePlain } from "./codec.ts";
import { Double, Json, type Value, valueText, valueType } from "./plain.ts";
import { readTypedJson, writeTypedJson } from "./typed-json.ts";

const values: [Value, string, string][] = [
  [25, "LONG", "25"],
  [new Double(25), "DOUBLE", "25.0"],
  [-0.125, "DOUBLE", "-0.125"],
  [9223372036854775807n, "LONG", "9223372036854775807"],
  [new Double(1e7), "DOUBLE", "1.0E7"],
  [1.25e-7, "DOUBLE", "1.25E-7"],
  [true, "BOOLEAN", "true"],
  ["x", "STRING", "x"],
  [new Json('{"b":1.0,"a":[1]}'), "JSON", '{"b":1.0,"a":[1]}'],
];

describe("values", () => {
  it.each(values)("%s is %s and prints %s", (value, type, text) => {
    expect(valueType(value)).toBe(type);
    expect(valueText(value)).toBe(text);
  });

  it("survive the codec with their types", () => {
    const all = Object.fromEntries(values.map(([value], i) => [`k${i}`, value]));
    expect(decodePlain(encodePlain(all))).toEqual(all);
  });

  it("survive typed JSON with their types", () => {
    const all = {
      a: new Double(25),
      b: 25,
      c: 9007199254740993n,
      d: 0.5,
      e: '1.0 "quoted" 1e5',
      i: "\u00015.0",
      f: null,
      g: [new Double(1), { h: 1 }],
    };
    const text = writeTypedJson(all);
    expect(text).toContain('"a":25.0');
    expect(readTypedJson(text)).toEqual(all);
  });
});

describe("what no JSON number can be", () => {
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

  it.each(values)("%s is null in JSON, and names itself in text", (value) => {
    const text = writeTypedJson({ a: value, b: [new Double(value)] });
    expect(JSON.parse(text)).toEqual({ a: null, b: [null] });
    expect([valueText(value), valueText(new Double(value))]).toEqual([String(value), String(value)]);
  });
});

describe("rule records", () => {
  it("carry a whole message", () => {
    const msg = {
      id: "784f394c-42b6-435a-983c-b7beff2784f9",
      type: "POST_TELEMETRY_REQUEST",
      originator: { entityType: "DEVICE", id: "de9d54a0-2b7a-11ec-a3cc-23386423d98f" },
      tenantId: "1da6ae90-9d58-11ef-b1c2-0242ac120002",
      ts: 1_700_000_000_123,
      metadata: { deviceName: "Ü", ts: "1700000000000" },
      data: { t: new Double(25), n: 3, s: "ä" },
      dataType: "JSON" as const,
    };
    expect(decodeRuleRecord(encodeMsg(msg))).toEqual(msg);
  });

  it("refuse other versions", () => {
    expect(() => decodeRuleRecord(new Uint8Array(40).fill(9))).toThrow(/version 9/);
  });
});
