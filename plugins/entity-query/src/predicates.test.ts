import { Double, Json, type Value } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { itemsOf, readPredicate } from "./predicates.ts";

const unknown = async () => undefined;
const predicate = (type: string, operation: string, defaultValue: unknown, ignoreCase = false) => ({
  type,
  operation,
  value: { defaultValue },
  ignoreCase,
});

describe("key filters", () => {
  it.each<[string, string, unknown, Value | undefined, boolean]>([
    ["NUMERIC", "EQUAL", 5, 5, true],
    ["NUMERIC", "EQUAL", 5, new Double(5), true],
    ["NUMERIC", "LESS_OR_EQUAL", 5, 5n, true],
    ["NUMERIC", "NOT_EQUAL", 5, "4", false],
    ["NUMERIC", "GREATER", 0, true, false],
    ["NUMERIC", "NOT_EQUAL", 5, new Json("[4]"), false],
    ["BOOLEAN", "NOT_EQUAL", true, false, true],
    ["BOOLEAN", "EQUAL", true, 1, false],
    ["STRING", "CONTAINS", "", "x", true],
    ["STRING", "CONTAINS", "", 5, false],
    ["STRING", "EQUAL", "", "x", false],
    ["STRING", "NOT_CONTAINS", "%", "50%", false],
    ["STRING", "NOT_IN", "a,b", "c", true],
    ["STRING", "NOT_EQUAL", "a", undefined, false],
  ])("%s %s %o of %o is %s", async (type, operation, wanted, value, holds) => {
    expect((await readPredicate(predicate(type, operation, wanted), unknown))(value)).toBe(holds);
  });

  it("compare without regard to case where that is wanted", async () => {
    const test = await readPredicate(predicate("STRING", "ENDS_WITH", "TAIL", true), unknown);
    expect([test("a tail"), test("tail a")]).toEqual([true, false]);
  });

  it("take the user's value before the dynamic before the default, where the kind fits", async () => {
    const resolve = async () => 7;
    const dynamicValue = { sourceType: "CURRENT_TENANT", sourceAttribute: "a" };
    const holds = async (value: object, number: number) =>
      (await readPredicate({ type: "NUMERIC", operation: "EQUAL", value }, resolve))(number);
    expect(await holds({ defaultValue: 1, userValue: 3, dynamicValue }, 3)).toBe(true);
    expect(await holds({ defaultValue: 1, userValue: null, dynamicValue }, 7)).toBe(true);
    expect(await holds({ defaultValue: 1, userValue: "3", dynamicValue: null }, 1)).toBe(true);
    const text = { type: "STRING", operation: "EQUAL", value: { defaultValue: "x", dynamicValue } };
    expect((await readPredicate(text, resolve))("x")).toBe(true);
  });

  it("split lists at commas that no quotes protect", () => {
    expect(itemsOf("a, 'b,c' ,\" d \",e")).toEqual(["a", "b,c", " d ", "e"]);
    expect(itemsOf("")).toEqual([]);
  });

  it.each([
    ["no operation", predicate("NUMERIC", "POWER", 1)],
    ["no type", predicate("SHAPE", "EQUAL", 1)],
    ["no value", { type: "NUMERIC", operation: "EQUAL" }],
    ["no predicates", { type: "COMPLEX", operation: "OR" }],
    [
      "too deep",
      Array.from({ length: 20 }).reduce<object>(
        (inner) => ({ type: "COMPLEX", operation: "OR", predicates: [inner] }),
        {},
      ),
    ],
  ])("refuse what has %s", async (_, bad) => {
    await expect(readPredicate(bad as Record<string, unknown>, unknown)).rejects.toThrow(/Key filter/);
  });
});
