import {
  type DeviceRegistry,
  type Directory,
  type EntityData,
  type LaneHandler,
  type Lanes,
  type LaneTurn,
  type Log,
  type Plain,
  type Rules,
  ruleChainCollection,
  type Telemetry,
} from "@heddle/plugin-sdk";
import { MemoryEntityStore, silentLog } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { EntityLifecycle } from "./entity-lifecycle.ts";

const call = { signal: new AbortController().signal };
const turn = { ...call, attempt: 1, sentAt: 0, trace: "" } satisfies LaneTurn;

function setUp(fails: { hide?: boolean } = {}) {
  const did: string[] = [];
  const records: Plain[] = [];
  let handle: LaneHandler = () => {};
  const lanes = {
    publish: async (_lane: unknown, _key: string, body: Plain) => {
      did.push("publish");
      records.push(body);
    },
    consume: (_lane: unknown, _group: string, run: LaneHandler) => {
      handle = run;
      return { [Symbol.asyncDispose]: async () => {} };
    },
  } as unknown as Lanes;
  const keeper: EntityData = {
    hide: async () => {
      did.push("hide");
      if (fails.hide === true) throw new Error("store is gone");
    },
    forget: async () => {
      did.push("forget");
    },
  };
  const entities = new MemoryEntityStore();
  const lifecycle = new EntityLifecycle({
    log: silentLog as Log,
    lanes,
    entities,
    telemetry: { forget: async () => void did.push("telemetry") } as unknown as Telemetry,
    rules: {
      createRootChain: async () => void did.push("root chain"),
      changed: async () => void did.push("rules changed"),
    } as unknown as Rules,
    directory: { saveTenant: async () => ({ value: { id: "t1" }, version: 1 }) } as unknown as Directory,
    registry: { defaultProfile: async () => void did.push("default profile") } as unknown as DeviceRegistry,
    data: [keeper],
  });
  return { lifecycle, did, records, entities, run: () => handle("t1", records[0] as Plain, turn) };
}

describe("lifecycle", () => {
  it("makes a tenant with chain and profile before it answers (rest-semantics 7.1)", async () => {
    const { lifecycle, did } = setUp();
    expect((await lifecycle.createTenant({ title: "T" }, call)).value.id).toBe("t1");
    expect(did.sort()).toEqual(["default profile", "root chain"]);
  });

  it("writes a removal down before anything is taken away", async () => {
    const { lifecycle, did } = setUp();
    await lifecycle.remove({ tenantId: "t1", entity: { entityType: "DEVICE", id: "d1" } }, call);
    expect(did).toEqual(["publish", "hide"]);
  });

  it("finishes a removal whose request failed, from what was written down", async () => {
    const fails = { hide: true };
    const { lifecycle, did, run } = setUp(fails);
    await lifecycle.start();
    const removal = { tenantId: "t1", entity: { entityType: "DEVICE", id: "d1" } };
    await expect(lifecycle.remove(removal, call)).rejects.toThrow("store is gone");
    fails.hide = false;
    did.length = 0;
    await run();
    expect(did).toEqual(["hide", "forget", "telemetry"]);
  });

  it("takes the chains of a deleted tenant, and again without complaint", async () => {
    const { lifecycle, entities, run } = setUp();
    await lifecycle.start();
    const chains = entities.collection(ruleChainCollection);
    const chain = { id: "c1", tenantId: "t1" } as never;
    await chains.put([{ value: chain, expect: "absent" }], call);
    await lifecycle.remove({ tenantId: "t1", entity: { entityType: "TENANT", id: "t1" } }, call);
    await run();
    await run();
    expect((await chains.find({ where: { tenantId: "t1" }, limit: 1 }, call)).total).toBe(0);
  });
});
