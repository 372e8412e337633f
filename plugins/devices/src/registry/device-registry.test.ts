import {
  type DeviceControl,
  decodeRuleRecord,
  deviceCredentialsCollection,
  type LaneHandler,
  type LaneSpec,
  type Lanes,
  type LaneTurn,
  type OtaPackageDocument,
  otaPackageCollection,
  type Plain,
  ruleLane,
  type Telemetry,
  type World,
} from "@heddle/plugin-sdk";
import { MemoryEntityStore } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { DeviceData } from "./device-data.ts";
import { DeviceNews } from "./device-news.ts";
import { StoredDevices } from "./device-registry.ts";
import { ProfileFollowers, profileLane } from "./profile-followers.ts";

const call = { signal: new AbortController().signal };
const tenantId = "5b0a2a70-0000-11f0-8000-000000000001";

const turn = { ...call, attempt: 1, sentAt: 0, trace: "" } satisfies LaneTurn;

function setUp() {
  const told: { type: string; metadata: Readonly<Record<string, string>> }[] = [];
  const events: Plain[] = [];
  const changes: Plain[] = [];
  const forgotten: string[] = [];
  let follow: LaneHandler = () => {};
  const lanes = {
    publish: async (lane: LaneSpec, _key: string, body: Plain) => {
      if (lane === ruleLane) told.push(decodeRuleRecord(body as Uint8Array));
      else (lane === profileLane ? changes : events).push(body);
    },
    consume: (_lane: LaneSpec, _group: string, handle: LaneHandler) => {
      follow = handle;
      return { [Symbol.asyncDispose]: async () => {} };
    },
  } as unknown as Lanes;
  const telemetry = {
    saveAttributes: async () => {},
    forget: async (_tenant: string, entities: readonly { id: string }[]) => {
      forgotten.push(...entities.map(({ id }) => id));
    },
  } as unknown as Telemetry;
  let now = 1_700_000_000_000;
  const world = { now: () => now, uuid: () => crypto.randomUUID() } as unknown as World;
  const deps = { world, lanes, telemetry, entities: new MemoryEntityStore(), control: () => ({}) as DeviceControl };
  const registry = new StoredDevices(deps);
  return {
    registry,
    deps,
    entities: deps.entities,
    data: new DeviceData(deps, registry),
    told,
    events,
    forgotten,
    /** What the lane would hand over next. */
    async follow(): Promise<void> {
      await registry.start();
      for (const body of changes.splice(0)) await follow("", body, turn);
    },
    later: (ms: number) => {
      now += ms;
    },
  };
}

describe("device registry", () => {
  it("M-10 makes a device on the default profile with a token, and tells the rule engine who did it", async () => {
    const { registry, told } = setUp();
    const by = { userId: "5b0a2a70-0000-11f0-8000-000000000002", email: "ta@example.org" };
    const { value, version } = await registry.save({ tenantId, device: { name: "A" }, by }, call);
    expect([value.type, value.customerId, version]).toEqual(["default", null, 1]);
    expect((await registry.credentials(value.id, call))?.value.credentialsId).toMatch(/^[a-zA-Z0-9]{20}$/);
    const metadata = {
      userId: by.userId,
      userName: by.email,
      userEmail: by.email,
      entityName: "A",
      entityType: "DEVICE",
    };
    expect(told).toMatchObject([{ type: "ENTITY_CREATED", metadata }]);
  });

  it("stores nothing when the name or the token is taken", async () => {
    const { registry } = setUp();
    const credentials = { credentialsType: "ACCESS_TOKEN" as const, credentialsId: "TOKEN" };
    await registry.save({ tenantId, device: { name: "A" }, credentials }, call);
    await expect(registry.save({ tenantId, device: { name: "B" }, credentials }, call)).rejects.toThrow(
      "Device credentials are already assigned to another device!",
    );
    const other = { credentialsType: "ACCESS_TOKEN" as const, credentialsId: "OTHER" };
    await expect(registry.save({ tenantId, device: { name: "A" }, credentials: other }, call)).rejects.toThrow(
      "Device with such name already exists!",
    );
    expect((await registry.devices.find({ where: { tenantId }, limit: 10 }, call)).total).toBe(1);
    // The token of the refused device is free.
    await registry.save({ tenantId, device: { name: "C" }, credentials: other }, call);
  });

  it("finds a free name on request", async () => {
    const { registry } = setUp();
    const nameConflict = { policy: "UNIQUIFY" as const, strategy: "INCREMENTAL" as const };
    const names: string[] = [];
    for (let at = 0; at < 3; at++) {
      names.push((await registry.save({ tenantId, device: { name: "A" }, nameConflict }, call)).value.name);
    }
    expect(names).toEqual(["A", "A_1", "A_2"]);
  });

  it("makes a profile for an unknown type and lets the profile's id win over the type's name", async () => {
    const { registry } = setUp();
    const { value } = await registry.save({ tenantId, device: { name: "A", type: "pump" } }, call);
    expect((await registry.profiles.get(value.deviceProfileId, call))?.value).toMatchObject({
      name: "pump",
      default: false,
    });
    const byId = await registry.save({ tenantId, device: { ...value, type: "other" } }, call);
    expect(byId.value.type).toBe("pump");
  });

  it("refuses an old version and tells sessions of changes", async () => {
    const { registry, events } = setUp();
    const { value } = await registry.save({ tenantId, device: { name: "A" } }, call);
    await registry.save({ tenantId, device: { ...value, label: "x", version: 1 } }, call);
    expect(events).toEqual([{ kind: "updated", tenantId, deviceId: value.id }]);
    const stale = registry.save({ tenantId, device: { ...value, version: 1 } }, call);
    await expect(stale).rejects.toMatchObject({ code: "record.conflict" });
  });

  it("changes credentials by id and ends the sessions of the old ones", async () => {
    const { registry, events } = setUp();
    const { value } = await registry.save({ tenantId, device: { name: "A" } }, call);
    const current = await registry.credentials(value.id, call);
    const save = (to: object) =>
      registry.saveCredentials({ tenantId, credentials: { ...current?.value, ...to } as never }, call);
    const basic = (fields: object) => ({ credentialsType: "MQTT_BASIC", credentialsValue: JSON.stringify(fields) });
    const saved = await save(basic({ clientId: "golden-c", userName: "golden-u", password: "p" }));
    expect(saved.value.credentialsId).toBe("05a3e09313ef2c6a7f60fd9b267f280f0f6d901de202a11e47a63958466ca98a");
    expect(events).toEqual([{ kind: "credentials", tenantId, deviceId: value.id }]);
    await expect(save(basic({ password: "p" }))).rejects.toThrow("Both mqtt client id and user name are empty!");
    await expect(save(basic({ clientId: "c", password: "p" }))).rejects.toThrow("Password cannot be specified along");
    const other = await registry.save(
      { tenantId: "5b0a2a70-0000-11f0-8000-000000000009", device: { name: "A" } },
      call,
    );
    const foreign = await registry.credentials(other.value.id, call);
    const theft = save({ id: foreign?.value.id, ...basic({ userName: "mine" }) });
    await expect(theft).rejects.toThrow("Unable to update non-existent device credentials!");
    await expect(save({ id: undefined })).rejects.toThrow("Credentials for this device are already specified!");
  });

  it("forgets a deleted device twice as well as once (rest-semantics 7.6)", async () => {
    const { registry, data, told, events, forgotten } = setUp();
    const { value } = await registry.save({ tenantId, device: { name: "A" } }, call);
    const removal = { tenantId, entity: { entityType: "DEVICE", id: value.id } };
    await data.hide(removal, call);
    expect(await registry.devices.get(value.id, call)).toBeUndefined();
    expect(await registry.credentials(value.id, call)).toBeUndefined();
    await data.forget(removal, call);
    await data.forget(removal, call);
    expect(told.map(({ type }) => type)).toEqual(["ENTITY_CREATED", "ENTITY_DELETED"]);
    expect(events).toContainEqual({ kind: "deleted", tenantId, deviceId: value.id });
    expect(forgotten).toEqual([value.id, value.id]);
  });

  it("forgets everything of a deleted tenant (rest-semantics 7.4)", async () => {
    const { registry, data, forgotten } = setUp();
    for (const name of ["A", "B"]) await registry.save({ tenantId, device: { name } }, call);
    await data.forget({ tenantId, entity: { entityType: "TENANT", id: tenantId } }, call);
    expect((await registry.devices.find({ where: { tenantId }, limit: 1 }, call)).total).toBe(0);
    expect((await registry.profiles.find({ where: { tenantId }, limit: 1 }, call)).total).toBe(0);
    expect(forgotten).toHaveLength(2);
  });

  it("keeps profiles that are in use or the default, and renames the type of their devices", async () => {
    const { registry, follow } = setUp();
    const { value } = await registry.save({ tenantId, device: { name: "A", type: "pump" } }, call);
    const profileId = value.deviceProfileId;
    await expect(registry.removeProfile({ tenantId, profileId }, call)).rejects.toThrow("referenced by the devices");
    const profile = (await registry.profiles.get(profileId, call))?.value;
    await registry.saveProfile({ tenantId, profile: { ...profile, name: "well" } }, call);
    await follow();
    expect((await registry.devices.get(value.id, call))?.value.type).toBe("well");
    const byDefault = (await registry.defaultProfile(tenantId, call)).value.id;
    await expect(registry.removeProfile({ tenantId, profileId: byDefault }, call)).rejects.toThrow("Default");
  });

  it("R-PROF-08 tells every device of a profile that changed, again after a crash", async () => {
    const { registry, deps, events } = setUp();
    const names = Array.from({ length: 7 }, (_, at) => `D${at}`);
    for (const name of names) await registry.save({ tenantId, device: { name, type: "pump" } }, call);
    const [first] = (await registry.devices.find({ where: { tenantId }, limit: 1 }, call)).items;
    const profile = (await registry.profiles.get(first?.value.deviceProfileId ?? "", call))?.value;
    const { value } = await registry.saveProfile({ tenantId, profile: { ...profile, name: "well" } }, call);
    let handle: LaneHandler = () => {};
    const lanes = {
      ...deps.lanes,
      consume: (_lane: LaneSpec, _group: string, run: LaneHandler) => {
        handle = run;
      },
    } as unknown as Lanes;
    new ProfileFollowers({ ...deps, lanes }, new DeviceNews(deps), 3).start();
    for (let times = 0; times < 2; times++) await handle("", { tenantId, profileId: value.id }, turn);
    expect(events).toHaveLength(2 * names.length);
    const typed = await registry.devices.find({ where: { tenantId, type: "well" }, limit: 1 }, call);
    expect(typed.total).toBe(names.length);
  });

  it("tells rule chains of a profile, without what lets a device in", async () => {
    const { registry, told } = setUp();
    const type = "ALLOW_CREATE_NEW_DEVICES";
    const profile = {
      name: "open",
      type: "DEFAULT",
      transportType: "DEFAULT",
      provisionType: type,
      provisionDeviceKey: "provision-key",
      profileData: {
        configuration: { type: "DEFAULT" },
        transportConfiguration: { type: "DEFAULT" },
        provisionConfiguration: { type, provisionDeviceSecret: "provision-secret" },
      },
    };
    const { value } = await registry.saveProfile({ tenantId, profile: profile as never }, call);
    expect(value.provisionDeviceKey).toBe("provision-key");
    expect(told).toMatchObject([{ type: "ENTITY_CREATED", data: { name: "open", provisionType: type } }]);
    expect(JSON.stringify(told)).not.toMatch(/provision-(key|secret)/);
  });

  it("annotates without a word to rule chains", async () => {
    const { registry, told, events } = setUp();
    const { value } = await registry.save({ tenantId, device: { name: "A", additionalInfo: { a: 1 } } }, call);
    told.length = 0;
    const noted = await registry.annotate({ tenantId, deviceId: value.id, members: { b: 2 } }, call);
    expect(noted?.value.additionalInfo).toEqual({ a: 1, b: 2 });
    expect([told, events]).toEqual([[], [{ kind: "updated", tenantId, deviceId: value.id }]]);
    expect(await registry.annotate({ tenantId, deviceId: "gone", members: {} }, call)).toBeUndefined();
  });

  it("assigns a free device only once on request", async () => {
    const { registry } = setUp();
    const { value } = await registry.save({ tenantId, device: { name: "A" } }, call);
    const claim = (customerId: string) =>
      registry.assign({ tenantId, deviceId: value.id, customerId, onlyFree: true }, call);
    const outcomes = await Promise.allSettled([claim("c1"), claim("c2"), claim("c1")]);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await expect(claim("c1")).rejects.toMatchObject({ code: "registry.assigned" });
  });

  it("takes over credentials that a crash left without a device, when nobody can be making it any more", async () => {
    const { registry, entities, later } = setUp();
    const orphan = {
      id: "o",
      tenantId,
      createdTime: 1_700_000_000_000,
      deviceId: "never made",
      credentialsType: "ACCESS_TOKEN" as const,
      credentialsId: "TOKEN",
      credentialsValue: null,
    };
    await entities.collection(deviceCredentialsCollection).put([{ value: orphan, expect: "absent" }], call);
    const credentials = { credentialsType: "ACCESS_TOKEN" as const, credentialsId: "TOKEN" };
    const save = () => registry.save({ tenantId, device: { name: "A" }, credentials }, call);
    await expect(save()).rejects.toThrow("already assigned");
    later(60_000);
    const { value } = await save();
    expect((await registry.credentials(value.id, call))?.value.credentialsId).toBe("TOKEN");
    // Those of a device that exists are never taken.
    later(60_000);
    await expect(registry.save({ tenantId, device: { name: "B" }, credentials }, call)).rejects.toThrow("already");
  });

  it("refuses packages that do not fit (rest-semantics 6.8)", async () => {
    const { registry, entities, events } = setUp();
    const { value } = await registry.save({ tenantId, device: { name: "A" } }, call);
    const fits = { id: "p", tenantId, type: "FIRMWARE", title: "t", version: "1", url: null, hasData: true } as const;
    const save = async (change: Partial<OtaPackageDocument>, field: "firmwareId" | "softwareId" = "firmwareId") => {
      const document = { ...fits, deviceProfileId: value.deviceProfileId, ...change } as OtaPackageDocument;
      await entities.collection(otaPackageCollection).put([{ value: document, expect: "any" }], call);
      return registry.save({ tenantId, device: { ...value, [field]: "p" } }, call);
    };
    const refused = async (change: Partial<OtaPackageDocument>, text: string) =>
      expect(save(change)).rejects.toThrow(text);
    await expect(registry.save({ tenantId, device: { ...value, firmwareId: "none" } }, call)).rejects.toThrow(
      "Can't assign non-existent firmware!",
    );
    await refused({ tenantId: "other" }, "Can't assign firmware from different tenant!");
    await refused({ type: "SOFTWARE" }, "Can't assign firmware with type: SOFTWARE!");
    await refused({ hasData: false }, "Can't assign firmware with empty data!");
    await refused({ deviceProfileId: "other" }, "Can't assign firmware with different deviceProfile!");
    await expect(save({}, "softwareId")).rejects.toThrow("Can't assign software with type: FIRMWARE!");
    expect(events).toEqual([]);
    expect((await save({ deviceProfileId: null })).value.firmwareId).toBe("p");
    expect(events).toEqual([{ kind: "updated", tenantId, deviceId: value.id }]);
  });
});
