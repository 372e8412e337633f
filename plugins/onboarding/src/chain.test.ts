import { credentialsHash } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { elsewhere, plantAuthority, pump, pumpRenewed, well } from "../testing/certificates.ts";
import { call, StandIn, tenantId } from "../testing/stand-in.ts";
import { CertificateChains } from "./chain.ts";
import { Provisioned } from "./provisioned.ts";

async function setUp(allowCreate = true, pattern = "([^@]+)@plant$") {
  const world = new StandIn();
  const profile = await world.profile({
    name: "plant",
    provisionType: "X509_CERTIFICATE_CHAIN",
    provisionDeviceKey: credentialsHash(plantAuthority),
    settings: { certificateRegExPattern: pattern, allowCreateNewDevicesByX509Certificate: allowCreate },
  });
  const chains = new CertificateChains(world.deps, new Provisioned(world.deps));
  const present = (...chain: string[]) =>
    chains.present(
      chain.map((certificate) => Buffer.from(certificate, "base64")),
      call,
    );
  const credentialsOf = async (name: string) => {
    const device = await world.device(name);
    return device === undefined ? undefined : (await world.registry.credentials(device.id, call))?.value;
  };
  return { world, profile, present, credentialsOf };
}

describe("a certificate chain (device-api 1.6)", () => {
  it("CRED-21 makes the device of the leaf's name, once for many handshakes", async () => {
    const { world, profile, present, credentialsOf } = await setUp();
    await Promise.all(Array.from({ length: 5 }, () => present(pump, plantAuthority)));
    const device = await world.device("pump-7");
    expect(device?.deviceProfileId).toBe(profile.id);
    expect((await credentialsOf("pump-7"))?.credentialsId).toBe(credentialsHash(pump));
    expect(await world.attribute(device?.id ?? "", "provisionState")).toBe("provisioned");
    expect(world.told.map(({ type }) => type)).toEqual(["PROVISION_SUCCESS"]);
  });

  it("CRED-22 replaces the certificate of a device of the profile by the renewed one", async () => {
    const { world, present, credentialsOf } = await setUp();
    await present(pump, plantAuthority);
    const before = await world.device("pump-7");
    await present(pumpRenewed, plantAuthority);
    expect((await world.device("pump-7"))?.id).toBe(before?.id);
    expect((await credentialsOf("pump-7"))?.credentialsId).toBe(credentialsHash(pumpRenewed));
  });

  it("changes nothing for a device with other credentials, or of another profile", async () => {
    const { world, profile, present, credentialsOf } = await setUp();
    for (const [name, deviceProfileId] of [
      ["pump-7", profile.id],
      ["well-1", "another profile"],
    ] as const) {
      await world.registry.save({ tenantId, device: { name, deviceProfileId } }, call);
    }
    await present(pump, plantAuthority);
    await present(well, plantAuthority);
    for (const name of ["pump-7", "well-1"]) expect((await credentialsOf(name))?.credentialsType).toBe("ACCESS_TOKEN");
  });

  it("CRED-23 CRED-24 makes nothing for a name that does not match, an unknown authority, or where it is not allowed", async () => {
    const { world, present } = await setUp();
    await present(elsewhere, plantAuthority);
    await present(pump);
    await present();
    const strict = await setUp(false);
    await strict.present(pump, plantAuthority);
    for (const { registry } of [world, strict.world]) {
      expect((await registry.devices.find({ where: { tenantId }, limit: 1 }, call)).total).toBe(0);
    }
  });

  it("ends at the first certificate that is somebody's credentials", async () => {
    const { world, present } = await setUp();
    const credentials = { credentialsType: "X509_CERTIFICATE" as const, credentialsValue: pump };
    await world.registry.save({ tenantId, device: { name: "by hand" }, credentials }, call);
    await present(pump, plantAuthority);
    expect(await world.device("pump-7")).toBeUndefined();
  });

  it("is not held up by a pattern that takes for ever, nor by what is no certificate", async () => {
    const { world, present } = await setUp(true, "^(([a-z0-9-]+)+)+!$");
    await present(pump, plantAuthority);
    await present("bm90IGEgY2VydGlmaWNhdGU=", plantAuthority);
    expect((await world.registry.devices.find({ where: { tenantId }, limit: 1 }, call)).total).toBe(0);
  });
});
