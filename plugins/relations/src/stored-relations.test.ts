import { EntityStore } from "@heddle/plugin-sdk";
import { describePlugin, MemoryEntityStore } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import card from "./index.ts";
import { StoredRelations } from "./stored-relations.ts";

const call = { signal: new AbortController().signal };
const [tenantId, gateway, child] = ["t", { entityType: "DEVICE", id: "g" }, { entityType: "DEVICE", id: "c" }];
const created = {
  tenantId,
  from: gateway,
  to: child,
  type: "Created",
  typeGroup: "COMMON",
  additionalInfo: null,
} as const;

describePlugin(card, { deps: new Map([[EntityStore.id, new MemoryEntityStore()]]) });

describe("relations", () => {
  const make = () => new StoredRelations(new MemoryEntityStore());

  it("R-REL-01 an edge saved twice is one edge, with what was said last", async () => {
    const relations = make();
    expect((await relations.save(created, call)).version).toBe(1);
    const again = await relations.save({ ...created, additionalInfo: { note: 1 } }, call);
    expect(again.version).toBe(2);
    const found = await relations.of(gateway, { side: "from", typeGroup: "COMMON" }, call);
    expect(found.map(({ value }) => value.additionalInfo)).toEqual([{ note: 1 }]);
  });

  it("are found from both ends, by type and group", async () => {
    const relations = make();
    await relations.save(created, call);
    await relations.save({ ...created, type: "Uses" }, call);
    await relations.save({ ...created, typeGroup: "DASHBOARD" }, call);
    const of = async (side: "from" | "to", type?: string) =>
      (
        await relations.of(
          side === "from" ? gateway : child,
          { side, typeGroup: "COMMON", ...(type === undefined ? {} : { type }) },
          call,
        )
      ).map(({ value }) => value.type);
    expect((await of("from")).sort()).toEqual(["Created", "Uses"]);
    expect(await of("to", "Uses")).toEqual(["Uses"]);
    expect(await relations.of(child, { side: "from", typeGroup: "COMMON" }, call)).toEqual([]);
  });

  it("removing tells what was there, once", async () => {
    const relations = make();
    await relations.save(created, call);
    expect((await relations.remove(created, call))?.value.type).toBe("Created");
    expect(await relations.remove(created, call)).toBeUndefined();
    expect(await relations.get(created, call)).toBeUndefined();
  });

  it("R-REL-06 go with either end, and with the tenant", async () => {
    const relations = make();
    await relations.save(created, call);
    await relations.hide({ tenantId, entity: child }, call);
    expect(await relations.get(created, call)).toBeUndefined();
    await relations.save(created, call);
    await relations.forget({ tenantId, entity: { entityType: "TENANT", id: tenantId } }, call);
    expect(await relations.get(created, call)).toBeUndefined();
  });
});
