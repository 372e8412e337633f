import { randomUUID } from "node:crypto";
import {
  type DeviceEvent,
  type LaneHandler,
  type LaneTurn,
  type OtaPackageDocument,
  otaPackageCollection,
  type Plain,
} from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { call, StandIn, tenantId } from "../testing/stand-in.ts";
import { Assignments } from "./assignments.ts";

const turn = { ...call, attempt: 1, sentAt: 0, trace: "" } satisfies LaneTurn;

function setUp() {
  const world = new StandIn();
  let handle: LaneHandler = () => {};
  const lanes = {
    consume: (_lane: unknown, _group: string, run: LaneHandler) => {
      handle = run;
      return { [Symbol.asyncDispose]: async () => {} };
    },
  } as never;
  const assignments = new Assignments({ ...world.deps, lanes });
  assignments.start();
  const updated = async (deviceId: string) => {
    world.told.length = 0;
    const event: DeviceEvent = { kind: "updated", tenantId, deviceId };
    await handle("", event as Plain, turn);
    return [...world.told];
  };
  const addPackage = async (more: Partial<OtaPackageDocument> = {}) => {
    const bytes = { hasData: true, dataSize: 1_000, checksumAlgorithm: "SHA256", checksum: "ab" };
    const name = { type: "FIRMWARE", title: "app", version: "1", tag: "app 1", url: null, deviceProfileId: null };
    const value = {
      id: randomUUID(),
      tenantId,
      ...name,
      ...bytes,
      version: randomUUID(),
      ...more,
    } as OtaPackageDocument;
    await world.collection(otaPackageCollection).put([{ value, expect: "absent" }], call);
    return value.id;
  };
  const shared = async (id: string) =>
    Object.fromEntries(
      (await world.attributes.get({ entityType: "DEVICE", id }, "SHARED_SCOPE", "all", call)).map(({ key, value }) => [
        key,
        value,
      ]),
    );
  return { world, assignments, updated, addPackage, shared };
}

const ofUrl = { url: "http://files/app", hasData: true, dataSize: null, checksumAlgorithm: null, checksum: null };

describe("assignment of a package (device-api 2.8)", () => {
  it("MQTT-OTA-01 queues, initiates, and pushes all attributes in one message", async () => {
    const { world, updated, addPackage } = setUp();
    const firmwareId = await addPackage({ version: "1" });
    const id = await world.device({ firmwareId });
    expect(await updated(id)).toEqual([
      [
        "series",
        {
          target_fw_title: "app",
          target_fw_version: "1",
          target_fw_tag: "app 1",
          target_fw_ts: world.now,
          fw_state: "QUEUED",
        },
      ],
      ["series", { fw_state: "INITIATED" }],
      ["deleted", ["fw_url"]],
      [
        "SHARED_SCOPE true",
        {
          fw_title: "app",
          fw_version: "1",
          fw_tag: "app 1",
          fw_size: 1_000,
          fw_checksum_algorithm: "SHA256",
          fw_checksum: "ab",
        },
      ],
    ]);
  });

  it("MQTT-OTA-09 of a link pushes the link, and takes away what belongs to bytes", async () => {
    const { world, updated, addPackage, shared } = setUp();
    const bytes = await addPackage({ version: "1" });
    const id = await world.device({ firmwareId: bytes });
    await updated(id);
    await world.device({ id, firmwareId: await addPackage({ version: "2", ...ofUrl }) });
    const told = await updated(id);
    expect(told[2]).toEqual(["deleted", ["fw_size", "fw_checksum_algorithm", "fw_checksum"]]);
    expect(await shared(id)).toEqual({ fw_title: "app", fw_version: "2", fw_tag: "app 1", fw_url: "http://files/app" });
  });

  it("MQTT-OTA-10 withdrawn takes nine attributes away in one push", async () => {
    const { world, updated, addPackage, shared } = setUp();
    const id = await world.device({ firmwareId: await addPackage() });
    await updated(id);
    await world.device({ id });
    const [[what, keys] = []] = await updated(id);
    expect(what).toBe("deleted");
    expect(new Set(keys as string[])).toEqual(
      new Set(
        ["title", "version", "tag", "ts", "state", "size", "checksum_algorithm", "checksum", "url"].map(
          (name) => `fw_${name}`,
        ),
      ),
    );
    expect(world.told).toHaveLength(1);
    expect(await shared(id)).toEqual({});
    expect(await updated(id)).toEqual([]);
  });

  it("MQTT-OTA-11 at the profile reaches devices without a package of their own", async () => {
    const { world, updated, addPackage, shared } = setUp();
    const [first, second] = [await addPackage({ version: "1" }), await addPackage({ version: "2" })];
    const deviceProfileId = await world.profile({ firmwareId: first });
    const plain = await world.device({ deviceProfileId });
    const own = await world.device({ deviceProfileId, firmwareId: second });
    for (const id of [plain, own]) await updated(id);
    expect([(await shared(plain))["fw_version"], (await shared(own))["fw_version"]]).toEqual(["1", "2"]);
    // Its own withdrawn, the profile's takes over.
    await world.device({ id: own, deviceProfileId });
    await updated(own);
    expect((await shared(own))["fw_version"]).toBe("1");
  });

  it("MQTT-OTA-12 of software is apart from firmware", async () => {
    const { world, updated, addPackage, shared } = setUp();
    const softwareId = await addPackage({ type: "SOFTWARE", version: "s", tag: null });
    const id = await world.device({ firmwareId: await addPackage({ version: "f" }), softwareId });
    const told = await updated(id);
    expect(told.filter(([what]) => what === "deleted")).toEqual([
      ["deleted", ["fw_url"]],
      ["deleted", ["sw_url"]],
    ]);
    expect(told.flatMap(([what, values]) => (what === "series" ? Object.keys(values as object) : []))).toContain(
      "sw_state",
    );
    await world.device({ id, softwareId });
    await updated(id);
    expect(Object.keys(await shared(id)).every((key) => key.startsWith("sw_"))).toBe(true);
  });

  it("says nothing again when nothing changed, and takes an old tag away", async () => {
    const { world, updated, addPackage, shared } = setUp();
    const id = await world.device({ firmwareId: await addPackage({ version: "1" }) });
    await updated(id);
    expect(await updated(id)).toEqual([]);
    await world.device({ id, firmwareId: await addPackage({ version: "2", tag: null }) });
    expect((await updated(id))[2]).toEqual(["deleted", ["fw_url", "fw_tag"]]);
    expect(await shared(id)).not.toHaveProperty("fw_tag");
  });

  it("is carried out again when it was cut short", async () => {
    const { world, updated, addPackage, shared } = setUp();
    const id = await world.device({ firmwareId: await addPackage({ version: "1" }) });
    const put = world.attributes.put.bind(world.attributes);
    world.attributes.put = async () => {
      throw new Error("the store has gone");
    };
    await expect(updated(id)).rejects.toThrow("the store has gone");
    world.attributes.put = put;
    expect((await updated(id)).map(([what]) => what)).toEqual(["series", "series", "deleted", "SHARED_SCOPE true"]);
    expect((await shared(id))["fw_version"]).toBe("1");
  });

  it("forgets devices and tenants that are deleted, and is not moved by events of the others", async () => {
    const { world, assignments, updated, addPackage } = setUp();
    const firmwareId = await addPackage();
    const id = await world.device({ firmwareId });
    await updated(id);
    await assignments.forgetDevice(id, call);
    expect(await updated(id)).toHaveLength(4);
    await assignments.forgetTenant(tenantId, call);
    expect(await updated(id)).toHaveLength(4);
    expect(await updated("nobody")).toEqual([]);
  });
});
