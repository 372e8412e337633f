import { describe, expect, it } from "vitest";
import { call, StandIn, tenantId } from "../testing/stand-in.ts";
import { Provisioned } from "./provisioned.ts";
import { Provisioning } from "./provisioning.ts";

const proof = { provisionDeviceKey: "k1", provisionDeviceSecret: "s1" };

async function setUp(provisionType = "ALLOW_CREATE_NEW_DEVICES") {
  const world = new StandIn();
  const profile = await world.profile({ provisionType, provisionDeviceKey: "k1", secret: "s1", name: "p" });
  const provisioning = new Provisioning(world.deps, new Provisioned(world.deps));
  const provision = (more: object) => provisioning.provision({ ...proof, ...more }, call);
  const types = () => world.told.map(({ type }) => type);
  return { world, profile, provision, types };
}

describe("provisioning of new devices", () => {
  it("MQTT-PRV-01 makes the device on the profile, marks it and tells the chain", async () => {
    const { world, profile, provision } = await setUp();
    expect(await provision({ deviceName: " Pump 7 ", token: "chosen" })).toEqual({
      status: "SUCCESS",
      credentialsType: "ACCESS_TOKEN",
      credentialsValue: "chosen",
    });
    const device = await world.device("Pump 7");
    expect(device?.deviceProfileId).toBe(profile.id);
    expect(await world.attribute(device?.id ?? "", "provisionState")).toBe("provisioned");
    const [message] = world.told;
    expect(message).toMatchObject({
      type: "PROVISION_SUCCESS",
      metadata: { tenantId },
      originator: { id: device?.id },
    });
    expect(message?.data).toMatchObject({ deviceName: " Pump 7 ", credentialsType: null, gateway: false });
    expect(JSON.stringify(message)).not.toMatch(/k1|s1|chosen/);
  });

  it("MQTT-PRV-03 refuses a name that exists, and tells of it", async () => {
    const { provision, types, world } = await setUp();
    await provision({ deviceName: "A" });
    expect(await provision({ deviceName: "A" })).toEqual({
      status: "FAILURE",
      errorMsg: "Failed to provision device!",
    });
    expect(types()).toEqual(["PROVISION_SUCCESS", "PROVISION_FAILURE"]);
    expect(world.told[1]?.originator.id).toBe((await world.device("A"))?.id);
  });

  it("MQTT-PRV-04 finds nothing for a wrong key or secret, an empty one, or a profile that lets nobody in", async () => {
    const { provision, world } = await setUp();
    const notFound = { status: "NOT_FOUND", errorMsg: "Provision data was not found!" };
    await world.profile({ provisionType: "DISABLED", provisionDeviceKey: "k2", secret: "s2", name: "q" });
    const wrong = [
      { provisionDeviceKey: "" },
      { provisionDeviceSecret: "" },
      { provisionDeviceKey: "nope" },
      { provisionDeviceSecret: "s1x" },
      { provisionDeviceKey: "k2", provisionDeviceSecret: "s2" },
    ];
    for (const more of wrong) expect(await provision({ deviceName: "A", ...more })).toEqual(notFound);
    expect(await world.device("A")).toBeUndefined();
  });

  it("MQTT-PRV-07 draws a name of 20 letters and digits; blanks are no name", async () => {
    const { provision, world } = await setUp();
    for (const more of [{}, { deviceName: "" }]) expect((await provision(more)).status).toBe("SUCCESS");
    const { items } = await world.registry.devices.find({ where: { tenantId }, limit: 10 }, call);
    expect(items.map(({ value }) => value.name)).toEqual([1, 2].map(() => expect.stringMatching(/^[a-zA-Z0-9]{20}$/)));
    expect((await provision({ deviceName: "  " })).status).toBe("FAILURE");
  });

  it("MQTT-PRV-08 MQTT-PRV-09 gives the credentials that were asked for, and a token where their data is missing", async () => {
    const { provision, world } = await setUp();
    const basic = { credentialsType: "MQTT_BASIC", clientId: "c", username: "u", password: "p" };
    expect(await provision({ deviceName: "A", ...basic })).toMatchObject({
      credentialsType: "MQTT_BASIC",
      credentialsValue: { clientId: "c", userName: "u", password: "p" },
    });
    const certificate = { credentialsType: "X509_CERTIFICATE", credentialsValue: "MIIB" };
    const asked = { deviceName: "B", credentialsType: "X509_CERTIFICATE", hash: "MIIB" };
    expect(await provision(asked)).toMatchObject(certificate);
    for (const [deviceName, credentialsType] of [
      ["C", "X509_CERTIFICATE"],
      ["D", "LWM2M_CREDENTIALS"],
    ]) {
      expect(await provision({ deviceName, credentialsType })).toMatchObject({ credentialsType: "ACCESS_TOKEN" });
      expect(await world.device(deviceName as string)).toBeDefined();
    }
  });

  it("MQTT-PRV-10 makes a gateway of whoever says so", async () => {
    const { provision, world } = await setUp();
    await provision({ deviceName: "A", gateway: true });
    expect((await world.device("A"))?.additionalInfo).toEqual({ gateway: true });
  });

  it("MQTT-PRV-14 leaves no device behind when the token is taken, or the tenant may have no more", async () => {
    const { provision, world, types } = await setUp();
    await provision({ deviceName: "A", token: "T" });
    expect((await provision({ deviceName: "B", token: "T" })).status).toBe("FAILURE");
    world.room = 0;
    expect((await provision({ deviceName: "B" })).status).toBe("FAILURE");
    expect(await world.device("B")).toBeUndefined();
    expect(types()).toEqual(["PROVISION_SUCCESS"]);
  });

  it("makes one device of many requests at once", async () => {
    const { provision, world } = await setUp();
    const replies = await Promise.all(Array.from({ length: 8 }, () => provision({ deviceName: "A" })));
    expect(replies.filter(({ status }) => status === "SUCCESS")).toHaveLength(1);
    expect(await world.device("A")).toBeDefined();
  });

  it("never makes a device for the key of a certificate chain", async () => {
    const { provision, world } = await setUp("X509_CERTIFICATE_CHAIN");
    expect((await provision({ deviceName: "A" })).status).toBe("FAILURE");
    expect(await world.device("A")).toBeUndefined();
  });
});

describe("provisioning of devices that exist", () => {
  async function withDevice(profileId?: string) {
    const setting = await setUp("CHECK_PRE_PROVISIONED_DEVICES");
    const deviceProfileId = profileId ?? setting.profile.id;
    const credentials = { credentialsType: "ACCESS_TOKEN" as const, credentialsId: "EXISTING" };
    await setting.world.registry.save({ tenantId, device: { name: "A", deviceProfileId }, credentials }, call);
    return setting;
  }

  it("MQTT-PRV-05 MQTT-PRV-06 hands the existing credentials out once", async () => {
    const { provision, types } = await withDevice();
    expect(await provision({ deviceName: "A", token: "ignored" })).toMatchObject({
      status: "SUCCESS",
      credentialsValue: "EXISTING",
    });
    expect((await provision({ deviceName: "A" })).status).toBe("FAILURE");
    expect(types()).toEqual(["PROVISION_SUCCESS", "PROVISION_FAILURE"]);
  });

  it("hands them out once to many at once", async () => {
    const { provision } = await withDevice();
    const replies = await Promise.all(Array.from({ length: 8 }, () => provision({ deviceName: "A" })));
    expect(replies.filter(({ status }) => status === "SUCCESS")).toHaveLength(1);
  });

  it("again when an operator has taken the mark away", async () => {
    const { provision, world } = await withDevice();
    await provision({ deviceName: "A" });
    const entity = { entityType: "DEVICE", id: (await world.device("A"))?.id ?? "" };
    await world.attributes.remove(entity, "SERVER_SCOPE", ["provisionState"], call);
    expect((await provision({ deviceName: "A" })).status).toBe("SUCCESS");
  });

  it("refuses without a name, an unknown one, and a device of another profile", async () => {
    const { provision, types } = await withDevice("another profile");
    for (const more of [{}, { deviceName: "B" }]) expect((await provision(more)).status).toBe("FAILURE");
    expect(types()).toEqual([]);
    expect((await provision({ deviceName: "A" })).status).toBe("FAILURE");
    expect(types()).toEqual(["PROVISION_FAILURE"]);
  });
});
