import { Double } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { keyOf, matches } from "./fields.ts";
import { Layout, nameOf, without } from "./layout.ts";

const layout = new Layout<{ id: string; name: string; size: number; tenant: { id: string } }>({
  name: "docs",
  id: "id",
  indexes: [["tenant.id", "size"], ["tenant.id", "name"], ["hash"]],
  unique: [["tenant.id", "name"], ["hash"]],
});
const document = { id: "a", name: "x", size: 3, tenant: { id: "t" } };

describe("the layout of a collection", () => {
  it("lists a document under each prefix of its indexes that no claim leads to", () => {
    expect(layout.places(document).map(({ fields, value }) => [nameOf(fields), value])).toEqual([
      ["", "[]"],
      ["tenant.id", '["t"]'],
      ["tenant.id,size", '["t",3]'],
    ]);
    expect(layout.places(undefined)).toEqual([]);
  });

  it("lists nothing where the collection wants no list", () => {
    const large = new Layout<{ id: string }>({ name: "large", id: "id", indexes: [], listed: false });
    expect(large.places(document)).toEqual([]);
    expect(large.path({ where: { id: "a" }, limit: 1 })).toEqual({ kind: "ids", ids: ["a"] });
    expect(() => large.path({ limit: 1 })).toThrow("not listed");
  });

  it("claims lists without null only", () => {
    expect(layout.claims(document).map(({ fields }) => fields)).toEqual([["tenant.id", "name"]]);
    expect(layout.claims({ ...document, name: null })).toEqual([]);
  });

  it("takes the shortest way to the answer", () => {
    const kind = (where: object) => layout.path({ where: where as never, limit: 1 });
    expect(kind({ id: "a", size: 3 })).toEqual({ kind: "ids", ids: ["a"] });
    expect(kind({ id: { in: ["a", "b"] } })).toEqual({ kind: "ids", ids: ["a", "b"] });
    expect(kind({ "tenant.id": "t", name: "x", size: 3 })).toMatchObject({ kind: "claim" });
    expect(kind({ "tenant.id": "t", name: null })).toMatchObject({ kind: "entries", places: [{ value: '["t"]' }] });
    expect(kind({ "tenant.id": "t", size: { in: [1, 2, 2] } })).toMatchObject({
      places: [{ value: '["t",1]' }, { value: '["t",2]' }],
    });
    expect(kind({ "tenant.id": "t", size: { gte: 1 } })).toMatchObject({ places: [{ value: '["t"]' }] });
    expect(kind({ size: 3 })).toMatchObject({ places: [{ fields: [], value: "[]" }] });
    expect(kind({ "tenant.id": { in: [] } })).toEqual({ kind: "entries", places: [] });
  });

  it("tells places apart by fields and value", () => {
    const all = layout.places(document);
    const others = layout.places({ ...document, size: 4 });
    expect(without(all, others).map(({ value }) => value)).toEqual(['["t",3]']);
  });
});

describe("keys", () => {
  it("are equal for equal values only, and short", () => {
    expect(keyOf([0])).toBe(keyOf([-0]));
    const different = [
      keyOf([1]),
      keyOf(["1"]),
      keyOf([true]),
      keyOf([null]),
      keyOf([1n]),
      keyOf([1, 2]),
      keyOf(["1,2"]),
    ];
    expect(new Set(different).size).toBe(different.length);
    const long = "x".repeat(100_000);
    expect(keyOf([long]).length).toBeLessThan(100);
    expect(keyOf([long])).not.toBe(keyOf([`${long}y`]));
  });
});

describe("conditions", () => {
  it("compare doubles by value, and bounds with their own type only", () => {
    expect(matches({ a: new Double(25) }, { where: { a: 25 }, limit: 1 })).toBe(true);
    expect(matches({ a: "25" }, { where: { a: { gte: 1 } }, limit: 1 })).toBe(false);
    expect(matches({}, { where: { a: { lt: 1 } }, limit: 1 })).toBe(false);
    expect(matches({ a: 1 }, { where: { a: { gte: 1, lt: 2 } }, limit: 1 })).toBe(true);
    expect(matches({ a: 2 }, { where: { a: { gte: 1, lt: 2 } }, limit: 1 })).toBe(false);
  });
});
