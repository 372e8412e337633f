import type { RelationDocument, Relations, Stored } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { passes, walkRelations } from "./relation-walk.ts";

const call = { signal: new AbortController().signal };
const device = (id: string) => ({ entityType: "DEVICE", id });
const edges = ["a-b", "b-c", "c-a", "a-d"].map((name): Stored<RelationDocument> => {
  const [from = "", to = ""] = name.split("-");
  const type = name === "a-d" ? "Uses" : "Contains";
  const value = { id: name, tenantId: "t", from: device(from), to: device(to), type, typeGroup: "COMMON" as const };
  return { value: { ...value, additionalInfo: null }, version: 1 };
});
const relations = {
  of: async ({ id }: { id: string }, { side }: { side: "from" | "to" }) =>
    edges.filter(({ value }) => value[side].id === id),
} as unknown as Relations;

const walk = async (more: object, root = "a") => {
  const parameters = { rootId: root, rootType: "DEVICE", direction: "FROM" as const, ...more };
  return (await walkRelations(relations, { root: device(root), parameters }, call)).map(({ value }) => value.id);
};

describe("a walk along relations (rest-semantics 11.5)", () => {
  it("meets every relation once, also around a circle", async () => {
    expect(await walk({})).toEqual(["a-b", "a-d", "b-c", "c-a"]);
    expect(await walk({ direction: "TO" }, "c")).toEqual(["b-c", "a-b", "c-a"]);
  });

  it("ends at its depth, and may tell of the last level only", async () => {
    expect(await walk({ maxLevel: 1 })).toEqual(["a-b", "a-d"]);
    expect(await walk({ maxLevel: 2, fetchLastLevelOnly: true })).toEqual(["a-d", "b-c"]);
  });

  it("is narrowed by type of relation and of entity", () => {
    const [first, , , last] = edges as [Stored<RelationDocument>, unknown, unknown, Stored<RelationDocument>];
    const through = (filter: object) => [first, last].filter((one) => passes(one, [filter], "FROM")).length;
    expect(passes(first, [], "FROM") && passes(first, null, "FROM")).toBe(true);
    expect(through({ relationType: "Uses" })).toBe(1);
    expect(through({ relationType: "Uses", negate: true })).toBe(1);
    expect(through({ entityTypes: ["ASSET"] })).toBe(0);
    expect(through({ relationType: "Uses", entityTypes: ["DEVICE"] })).toBe(1);
  });
});
