import { Double, Json } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { readAttributes, readRows } from "./telemetry-body.ts";

const now = 1_700_000_000_000;

describe("telemetry bodies (rest-semantics 8.2, 8.6)", () => {
  it("keep the type of each value", () => {
    const text =
      '{"ts":5,"values":{"i":1,"d0":1.0,"e":1e3,"big":1180591620717411303424,"max":9223372036854775807,"sn":"25","se":"1e3","o":{"a":[1,null]},"dec":0.12345678901234567890}}';
    const [row] = readRows(text, now);
    expect(row?.ts).toBe(5);
    expect({ ...row?.values }).toEqual({
      i: 1,
      d0: new Double(1),
      e: 1000,
      big: "1180591620717411303424",
      max: 9223372036854775807n,
      sn: 25,
      se: "1e3",
      o: new Json('{"a":[1,null]}'),
      dec: "0.12345678901234567890",
    });
  });

  it("are rows, plain objects or arrays of either", () => {
    expect(readRows('[{"m":1},{"ts":7,"values":{"m":2}}]', now).map(({ ts }) => ts)).toEqual([now, 7]);
    expect(readRows('{"ts":9}', now)).toMatchObject([{ ts: now, values: { ts: 9 } }]);
  });

  it.each([
    ["{}", "No time series data found in request body!"],
    ["{", "Unable to parse time series payload: Invalid JSON body!"],
    ['{"z":null}', "Unable to parse time series payload. Invalid JSON body: Can't parse value: null"],
    ['"abc"', 'Unable to parse time series payload. Invalid JSON body: Can\'t parse value: "abc"'],
    ['{"ts":1,"values":5}', "Unable to parse time series payload. Invalid JSON body: Not a JSON Object: 5"],
    ['{"ts":"x","values":{"a":1}}', 'Unable to parse time series payload. Invalid JSON body: For input string: "x"'],
    ['{"":1}', "Key can't be null or empty"],
    ['{"<b>":1}', "Validation error: key is malformed"],
  ])("refuse %s in plain text", (text, message) => {
    expect(() => readRows(text, now)).toThrow(message);
  });

  it("of attributes are one object", () => {
    expect({ ...readAttributes('{"a":1.0,"b":"x"}') }).toEqual({ a: new Double(1), b: "x" });
    expect(() => readAttributes("[]")).toThrow("Request is not a JSON object");
    expect(() => readAttributes('{" ":1}')).toThrow("Key cannot be blank");
  });

  it("may use names of object members", () => {
    expect(Object.keys(readRows('{"__proto__":1,"constructor":2}', now)[0]?.values ?? {})).toEqual([
      "__proto__",
      "constructor",
    ]);
  });
});
