import { Double, Json, readTypedJson } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { readAttributes, readTelemetry } from "./uplink.ts";

const limits = { stringLength: 0 };
const read = (text: string) =>
  readTelemetry(Buffer.from(text), limits).map(({ ts, body, typed }) => ({
    ts,
    values: typed ? readTypedJson(Buffer.from(body).toString()) : JSON.parse(Buffer.from(body).toString()),
  }));
const one = (text: string) => (read(`{"k":${text}}`)[0] as { values: Record<string, unknown> }).values["k"];

describe("value typing (device-api 0.3)", () => {
  it.each<[string, unknown]>([
    ["25", 25],
    ["25.0", new Double(25)],
    ["1e3", 1000],
    ["1.5e3", 1500],
    ["1.25e-1", 0.125],
    ["9223372036854775807", 9223372036854775807n],
    ["9223372036854775808", "9223372036854775808"],
    ["0.30000000000000004", "0.30000000000000004"],
    ["1e-20", "0.00000000000000000001"],
    ["1.", "1."],
    ['"25"', 25],
    ['"0012"', 12],
    ['"1.10"', 1.1],
    ['".5"', 0.5],
    ['"1e5"', "1e5"],
    ['"+5"', "+5"],
    ['" 5"', " 5"],
    ['"5."', "5."],
    ['"-"', "-"],
    ['""', ""],
    ['"1,5"', "1,5"],
    ['"true"', "true"],
    ["01", 1],
    ["null", undefined],
    ["NaN", "NaN"],
    ["-Infinity", "-Infinity"],
  ])("%s", (text, value) => expect(one(text)).toEqual(value));

  it("keeps nested JSON as compact text", () => {
    const [group] = readTelemetry(Buffer.from('{"k":{"b": 1.0, "a":[1, 2]}}'), limits);
    expect(Buffer.from(group?.body ?? []).toString()).toBe('{"k":{"b":1.0,"a":[1,2]}}');
    expect(new Json('{"b":1.0}').text).toBe('{"b":1.0}');
  });
});

describe("lenient reading (device-api 0.2)", () => {
  it.each<[string, unknown]>([
    ["{temperature:25,mode:eco}", { temperature: 25, mode: "eco" }],
    ["{'a':'b'}", { a: "b" }],
    ["{a:1 /* x */, // y\n b:2 # z\n}", { a: 1, b: 2 }],
    ["{a=1;b=>2}", { a: 1, b: 2 }],
    ["{a:TRUE,b:False,c:NULL}", { a: true, b: false }],
    [")]}'\n{a:1}", { a: 1 }],
    ["\uFEFF{a:1}  ", { a: 1 }],
    ["{a:1,a:2}", { a: 2 }],
    ["{}", {}],
  ])("%s", (text, values) => expect(read(text)).toEqual([{ ts: undefined, values }]));

  it.each(['{"a":1,}', '{"a":1', '{"a":1} x', '{"a":,}', "", "  ", "5", '"x"', "null", "[1]", "[{},5]"])(
    "refuses %j",
    (text) => {
      expect(() => read(text)).toThrowError(expect.objectContaining({ code: "device.payload" }));
    },
  );

  it("refuses what is nested too deeply instead of exhausting the stack", () => {
    expect(() => read("[".repeat(100_000))).toThrowError(expect.objectContaining({ code: "device.payload" }));
  });

  it("takes __proto__ and constructor as names", () => {
    expect(Object.keys(read('{"__proto__":"x","constructor":null,"k":"1"}')[0]?.values as object)).toEqual([
      "__proto__",
      "k",
    ]);
  });
});

describe("telemetry documents (device-api 0.4)", () => {
  it("read timed, flat and mixed forms", () => {
    expect(read('[{"ts":1735689600000,"values":{"t":1}},{"ts":"5","values":{"t":2}},{"rssi":-71}]')).toEqual([
      { ts: 1735689600000, values: { t: 1 } },
      { ts: 5, values: { t: 2 } },
      { ts: undefined, values: { rssi: -71 } },
    ]);
    expect(read('{"ts":1,"values":{}}')).toEqual([{ ts: 1, values: {} }]);
    expect(read('{"ts":1}')).toEqual([{ ts: undefined, values: { ts: 1 } }]);
    expect(read("[]")).toEqual([]);
  });

  it("refuse times and values of other kinds", () => {
    for (const text of [
      '{"ts":{},"values":{}}',
      '{"ts":"x","values":{}}',
      '{"ts":1,"values":5}',
      '{"ts":null,"values":{}}',
    ]) {
      expect(() => read(text)).toThrowError(expect.objectContaining({ code: "device.payload" }));
    }
  });

  it("bound the length of texts when told to", () => {
    for (const text of ['{"k":"abcdef"}', '{"k":"abcdef","n":null}']) {
      expect(() => readTelemetry(Buffer.from(text), { stringLength: 5 })).toThrow(/limit is 5/);
    }
  });
});

describe("attribute documents (device-api 0.5)", () => {
  it("are one object", () => {
    expect(Buffer.from(readAttributes(Buffer.from('{"a":1}'), limits).body).toString()).toBe('{"a":1}');
    expect(() => readAttributes(Buffer.from("[]"), limits)).toThrow(/not array/);
  });
});
