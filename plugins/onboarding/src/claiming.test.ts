import { Json } from "@heddle/plugin-sdk";
import { fakeIdentity } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { call, StandIn, tenantId } from "../testing/stand-in.ts";
import { Claiming } from "./claiming.ts";

const day = 86_400_000;

async function setUp(allowByDefault = true) {
  const world = new StandIn();
  const { value } = await world.registry.save({ tenantId, device: { name: "A" } }, call);
  const claiming = new Claiming(world.deps, { allowByDefault, duration: day });
  const who = fakeIdentity("A", { tenantId, deviceId: value.id });
  const entity = { entityType: "DEVICE", id: value.id };
  const open = (text: string) => claiming.open(who, Buffer.from(text), call);
  const claim = async (secretKey: string, customerId = "c1") =>
    (await claiming.claim({ tenantId, customerId, deviceName: "A", secretKey }, call)).response;
  const set = (values: Record<string, boolean | Json>) =>
    world.attributes.put({ entity, scope: "SERVER_SCOPE", values, ts: 1 }, call);
  const reclaim = () => claiming.reclaim({ tenantId, deviceId: value.id }, call);
  const customer = async () => (await world.device("A"))?.customerId;
  return { world, claiming, entity, open, claim, set, reclaim, customer };
}

describe("claiming (device-api 6.3)", () => {
  it("MQTT-CLM-01 gives the device to whoever knows its key, once", async () => {
    const { open, claim, customer } = await setUp();
    await open('{"secretKey":"k","durationMs":60000}');
    expect(await claim("k")).toBe("SUCCESS");
    expect(await customer()).toBe("c1");
    expect(await claim("k", "c2")).toBe("CLAIMED");
  });

  it("MQTT-CLM-02 takes the offer away from whoever tries a wrong key", async () => {
    const { open, claim } = await setUp();
    await open('{"secretKey":"k"}');
    expect([await claim("other"), await claim("k")]).toEqual(["FAILURE", "FAILURE"]);
    await open('{"secretKey":"k"}');
    expect(await claim("k")).toBe("SUCCESS");
  });

  it("MQTT-CLM-03 HTTP-21 takes an empty payload as an empty key", async () => {
    for (const text of ["", "{}", '{"secretKey":null,"durationMs":null}']) {
      const { open, claim } = await setUp();
      await open(text);
      expect(await claim("")).toBe("SUCCESS");
    }
  });

  it("MQTT-CLM-04 keeps quiet about an offer that is not allowed", async () => {
    const { open, claim, set } = await setUp(false);
    await open('{"secretKey":"k"}');
    expect(await claim("k")).toBe("FAILURE");
    await set({ claimingAllowed: true });
    await open('{"secretKey":"k"}');
    expect(await claim("k")).toBe("SUCCESS");
  });

  it("MQTT-CLM-05 does not replace an offer that holds", async () => {
    const { open, claim } = await setUp();
    await open('{"secretKey":"first"}');
    await open('{"secretKey":"second"}');
    expect(await claim("first")).toBe("SUCCESS");
  });

  it("MQTT-CLM-06 ends with its time, by default a day", async () => {
    const { world, open, claim } = await setUp();
    await open('{"secretKey":"k","durationMs":60000}');
    world.now += 60_000;
    expect(await claim("k")).toBe("FAILURE");
    await open('{"secretKey":"k","durationMs":-1}');
    world.now += day - 1;
    await open('{"secretKey":"second"}');
    expect(await claim("k")).toBe("SUCCESS");
  });

  it("lets an offer that has ended be followed by another", async () => {
    const { world, open, claim } = await setUp();
    await open('{"secretKey":"old","durationMs":10}');
    world.now += 11;
    await open('{"secretKey":"new"}');
    expect(await claim("new")).toBe("SUCCESS");
  });

  it("takes an offer that an operator has set, once", async () => {
    const { world, entity, claim, set } = await setUp();
    await set({
      claimingData: new Json(`{"secretKey":"k","expirationTime":${world.now + 1_000}}`),
      claimingAllowed: true,
    });
    expect(await claim("k")).toBe("SUCCESS");
    expect(await world.attributes.get(entity, "SERVER_SCOPE", "all", call)).toEqual([]);
    const other = await setUp();
    await other.set({ claimingData: new Json('{"secretKey":"k","expirationTime":1}') });
    expect([await other.claim("k"), await other.claim("k")]).toEqual(["FAILURE", "FAILURE"]);
    const wrong = await setUp();
    await wrong.set({ claimingData: new Json("[]") });
    expect(await wrong.claim("")).toBe("FAILURE");
  });

  it("lets one of many have it", async () => {
    const { open, claim, customer } = await setUp();
    await open('{"secretKey":"k"}');
    const customers = ["c1", "c2", "c3", "c4"];
    const responses = await Promise.all(customers.map((id) => claim("k", id)));
    const winners = customers.filter((_, at) => responses[at] === "SUCCESS");
    expect(winners).toHaveLength(1);
    expect(await customer()).toBe(winners[0]);
  });

  it("ignores offers of a device that has a customer", async () => {
    const { open, claim, reclaim } = await setUp();
    await open('{"secretKey":"k"}');
    await claim("k");
    await open('{"secretKey":"k"}');
    await reclaim();
    expect(await claim("k")).toBe("FAILURE");
  });

  it("gives a device back, so that it may be claimed again, also twice", async () => {
    const { world, entity, open, claim, set, reclaim, customer } = await setUp(false);
    await set({ claimingAllowed: true });
    await open('{"secretKey":"k"}');
    expect(await claim("k")).toBe("SUCCESS");
    await reclaim();
    await reclaim();
    expect(await customer()).toBeNull();
    expect(await world.attributes.get(entity, "SERVER_SCOPE", "all", call)).toMatchObject([
      { key: "claimingAllowed", value: true },
    ]);
    await open('{"secretKey":"k2"}');
    expect(await claim("k2")).toBe("SUCCESS");
  });

  it("refuses a payload that is no offer, and shows nothing of it", async () => {
    const { open, claiming } = await setUp();
    for (const text of [
      "{",
      "[]",
      "5",
      '{"secretKey":{}}',
      `{"secretKey":"${"x".repeat(256)}"}`,
      '{"durationMs":"z"}',
    ]) {
      await expect(open(text)).rejects.toMatchObject({ kind: "invalid", code: "device.payload" });
    }
    await expect(
      claiming.claim({ tenantId, customerId: "c", deviceName: "nobody", secretKey: "" }, call),
    ).rejects.toMatchObject({ kind: "missing", message: "Requested item wasn't found!" });
  });

  it("keeps nothing of a deleted device, or of a deleted tenant", async () => {
    const { claiming, entity, open, claim } = await setUp();
    await open('{"secretKey":"k"}');
    await claiming.hide({ tenantId, entity }, call);
    expect(await claim("k")).toBe("FAILURE");
    await open('{"secretKey":"k"}');
    await claiming.forget({ tenantId, entity: { entityType: "TENANT", id: tenantId } }, call);
    expect(await claim("k")).toBe("FAILURE");
  });
});
