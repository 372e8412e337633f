import { join } from "node:path";
import type { RunningNode } from "@heddle/core";
import { fakeIdentity } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addTenant, call, domainNode, eventually, type Probe, profileId, tenantId } from "../fixtures/domain-node.ts";
import type { OnboardingProbe } from "../fixtures/onboarding-probe.ts";
import { SharedCluster } from "../fixtures/shared-cluster.ts";

interface Member extends OnboardingProbe {
  readonly node: RunningNode;
  readonly probe: Probe;
}

const fixtures = join(import.meta.dirname, "../fixtures");
let members: Member[];

async function joined(shared: SharedCluster, id: string): Promise<Member> {
  (globalThis as { heddleCluster?: SharedCluster }).heddleCluster = shared;
  const started = await domainNode(
    {
      coordinator: null,
      backends: { use: join(fixtures, "cluster-backends.ts"), config: { node: id } },
      relations: { use: "@heddle/relations" },
      onboarding: { use: "@heddle/onboarding" },
      ota: { use: "@heddle/ota" },
      onboardingProbe: { use: join(fixtures, "onboarding-probe.ts") },
    },
    { node: { id }, cluster: { partitions: 32 } },
  );
  return { ...started, ...(globalThis as unknown as { heddleOnboarding: OnboardingProbe }).heddleOnboarding };
}

beforeEach(async () => {
  const shared = new SharedCluster();
  members = [await joined(shared, "A"), await joined(shared, "B")];
  await addTenant((members[0] as Member).probe);
});
afterEach(async () => {
  for (const { node } of members) await node.stop();
});

const one = (at: number) => members[at % members.length] as Member;

describe("devices that come to be on several nodes at once", () => {
  it("GW-15 first messages of one name make one device and one relation, whoever hears them", async () => {
    const gateway = async (name: string) => {
      const device = { name, deviceProfileId: profileId, additionalInfo: { gateway: true } };
      const { value } = await one(0).registry.save({ tenantId, device }, call);
      return fakeIdentity(name, { tenantId, deviceId: value.id, gateway: true });
    };
    const gateways = [await gateway("g1"), await gateway("g2")];
    const adopted = await Promise.all(
      Array.from({ length: 12 }, (_, at) =>
        one(at).onboarding.adopt(gateways[at % 2] ?? fakeIdentity(""), { name: "child", type: "meter" }, call),
      ),
    );
    const ids = new Set(adopted.map(({ deviceId }) => deviceId));
    expect(ids.size).toBe(1);
    const [id = ""] = ids;
    const relations = await one(1).relations.of(
      { entityType: "DEVICE", id },
      { side: "to", typeGroup: "COMMON" },
      call,
    );
    expect(relations.map(({ value }) => value.type)).toEqual(["Created"]);
    expect(adopted.every(({ deviceType }) => deviceType === "meter")).toBe(true);
  });

  it("MQTT-PRV-06 the credentials of a device are handed out once, whichever node is asked", async () => {
    const profile = await one(0).registry.saveProfile(
      {
        tenantId,
        profile: {
          name: "pre",
          type: "DEFAULT",
          transportType: "DEFAULT",
          provisionType: "CHECK_PRE_PROVISIONED_DEVICES",
          provisionDeviceKey: "k",
          profileData: { provisionConfiguration: { provisionDeviceSecret: "s" } },
        },
      },
      call,
    );
    await one(0).registry.save({ tenantId, device: { name: "pump", deviceProfileId: profile.value.id } }, call);
    const request = { deviceName: "pump", provisionDeviceKey: "k", provisionDeviceSecret: "s" };
    const replies = await Promise.all(
      Array.from({ length: 12 }, (_, at) => one(at).onboarding.provision(request, call)),
    );
    expect(replies.filter(({ status }) => status === "SUCCESS")).toHaveLength(1);
  });

  it("MQTT-OTA-11 a profile's package reaches every device, also when the node that was told goes", async () => {
    const names = Array.from({ length: 30 }, (_, at) => `d${at}`);
    const ids: string[] = [];
    for (const [at, name] of names.entries()) {
      const { value } = await one(at).registry.save({ tenantId, device: { name, deviceProfileId: profileId } }, call);
      ids.push(value.id);
    }
    const info = { type: "FIRMWARE" as const, title: "app", version: "1", url: "http://files/app" };
    const { value } = await one(0).packages.save({ tenantId, info }, call);
    const current = await one(0).registry.profiles.get(profileId, call);
    const profile = { ...current?.value, type: "DEFAULT" as const, provisionType: "DISABLED", firmwareId: value.id };
    await one(0).registry.saveProfile({ tenantId, profile }, call);
    await one(0).node.stop();
    members = [one(1)];
    await eventually(
      async () => {
        const read = ids.map((id) =>
          one(0).probe.attributes.get({ entityType: "DEVICE", id }, "SHARED_SCOPE", ["fw_url"], call),
        );
        return (await Promise.all(read)).filter((found) => found.length === 1).length;
      },
      (told) => told === ids.length,
      20_000,
    );
  });
});
