import { fakeIdentity } from "@heddle/plugin-sdk/testing";
import { describe, expect, it } from "vitest";
import { call, StandIn, tenantId } from "../testing/stand-in.ts";
import { Children } from "./children.ts";

const gateway = (deviceId: string, more = {}) => fakeIdentity(deviceId, { tenantId, deviceId, gateway: true, ...more });

describe("a device behind a gateway (device-api 2.9)", () => {
  it("GW-01 is made of the type it is given, for the gateway's customer, and related to the gateway", async () => {
    const world = new StandIn();
    const who = await new Children(world.deps).adopt(
      gateway("g", { customerId: "c" }),
      { name: "A", type: "meter" },
      call,
    );
    const device = await world.device("A");
    expect(who.deviceId).toBe(device?.id);
    expect(device).toMatchObject({ type: "meter", customerId: "c", additionalInfo: { lastConnectedGateway: "g" } });
    expect(world.metadata).toEqual([{ gatewayId: "g", customerId: "c" }]);
    expect(world.related).toMatchObject([
      { from: { id: "g" }, to: { id: device?.id }, type: "Created", typeGroup: "COMMON" },
    ]);
  });

  it("GW-02 is of the type default when none is given", async () => {
    const world = new StandIn();
    await new Children(world.deps).adopt(gateway("g"), { name: "A" }, call);
    expect((await world.device("A"))?.type).toBe("default");
  });

  it("GW-14 is the device of that name, whoever owns it; only the last gateway is noted", async () => {
    const world = new StandIn();
    const device = { name: "A", customerId: "someone", additionalInfo: { description: "mine" } };
    const { value } = await world.registry.save({ tenantId, device }, call);
    const who = await new Children(world.deps).adopt(gateway("g2"), { name: "A", type: "other" }, call);
    expect(who.deviceId).toBe(value.id);
    expect(await world.device("A")).toMatchObject({
      customerId: "someone",
      additionalInfo: { description: "mine", lastConnectedGateway: "g2" },
    });
    expect(world.related).toEqual([]);
  });

  it("writes nothing for a child that was here before", async () => {
    const world = new StandIn();
    const children = new Children(world.deps);
    await children.adopt(gateway("g"), { name: "A" }, call);
    const [before] = await world.registry.devices.many([(await world.device("A"))?.id ?? ""], call);
    await children.adopt(gateway("g"), { name: "A" }, call);
    const [after] = await world.registry.devices.many([before?.value.id ?? ""], call);
    expect(after?.version).toBe(before?.version);
  });

  it("GW-15 is one device for first messages at once, through one gateway or several", async () => {
    const world = new StandIn();
    const children = Array.from({ length: 2 }, () => new Children(world.deps));
    const adopting = ["g1", "g2", "g1", "g2"].map((id, at) =>
      children[at % 2]?.adopt(gateway(id), { name: "A" }, call),
    );
    const adopted = await Promise.all(adopting);
    expect(new Set(adopted.map((who) => who?.deviceId)).size).toBe(1);
    expect(world.related).toHaveLength(1);
  });

  it("GW-25 tells why it cannot be made", async () => {
    const world = new StandIn();
    world.room = 0;
    const adopting = new Children(world.deps).adopt(gateway("g"), { name: "A" }, call);
    await expect(adopting).rejects.toMatchObject({ code: "registry.limit", kind: "denied" });
  });
});
