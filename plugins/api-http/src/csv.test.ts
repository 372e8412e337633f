import { describe, expect, it } from "vitest";
import { csvRows } from "./csv.ts";

const rows = (text: string, delimiter = ",") =>
  [...csvRows(text, delimiter)].map(({ line, cells }) => [line, ...cells]);

describe("CSV (RFC 4180)", () => {
  it("is rows of cells, with any line end and none at the end", () => {
    expect(rows("a,b\r\nc,\n,d")).toEqual([
      [1, "a", "b"],
      [2, "c", ""],
      [3, "", "d"],
    ]);
    expect(rows("")).toEqual([]);
    expect(rows("a;b|c\n", ";")).toEqual([[1, "a", "b|c"]]);
    expect(rows("a,")).toEqual([[1, "a", ""]]);
  });

  it("lets quotes protect delimiters, line ends and quotes", () => {
    expect(rows('"a, ""b""","x\ny",c\nd')).toEqual([
      [1, 'a, "b"', "x\ny", "c"],
      [3, "d"],
    ]);
  });

  it("says where a quote goes wrong", () => {
    expect(() => rows('a\n"b')).toThrow("Line 2: a quoted cell does not end");
    expect(() => rows('"a"b')).toThrow("Line 1: a quoted cell ends in the middle of a cell");
  });
});
