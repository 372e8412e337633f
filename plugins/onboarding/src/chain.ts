import { X509Certificate } from "node:crypto";
import {
  type CallOptions,
  credentialsHash,
  type DeviceDocument,
  type DeviceProfileDocument,
  deviceCredentialsCollection,
  isFault,
} from "@heddle/plugin-sdk";
import type { OnboardingDeps } from "./deps.ts";
import { firstGroup } from "./name-pattern.ts";
import type { Provisioned } from "./provisioned.ts";

/** `provisionConfiguration` of a profile with chain provisioning. */
interface ChainSettings {
  readonly certificateRegExPattern?: string | null;
  readonly allowCreateNewDevicesByX509Certificate?: boolean | null;
}

interface Admission {
  readonly name: string;
  readonly profile: DeviceProfileDocument;
  /** Base64 of the DER of the leaf. */
  readonly certificate: string;
}

/** Certificates of a chain that are looked up; longer ones are cut. */
const longestChain = 10;
const longestCommonName = 255;

/** Devices that a certificate authority vouches for (device-api 1.6). */
export class CertificateChains {
  readonly #deps: OnboardingDeps;
  readonly #provisioned: Provisioned;

  constructor(deps: OnboardingDeps, provisioned: Provisioned) {
    this.#deps = deps;
    this.#provisioned = provisioned;
  }

  async present(chain: readonly Uint8Array[], call: CallOptions): Promise<void> {
    const encoded = chain.slice(0, longestChain).map((der) => Buffer.from(der).toString("base64"));
    for (const certificate of encoded) {
      const hash = credentialsHash(certificate);
      if (await this.#isKnown(hash, call)) return;
      const profile = await this.#profileOf(hash, call);
      if (profile !== undefined) return this.#admit(encoded[0] ?? "", profile, call);
    }
  }

  async #isKnown(credentialsId: string, call: CallOptions): Promise<boolean> {
    const credentials = this.#deps.entities.collection(deviceCredentialsCollection);
    const { items } = await credentials.find({ where: { credentialsId }, limit: 1 }, call);
    return items[0]?.value.credentialsType === "X509_CERTIFICATE";
  }

  async #profileOf(provisionDeviceKey: string, call: CallOptions): Promise<DeviceProfileDocument | undefined> {
    const { profiles } = this.#deps.registry;
    const [found] = (await profiles.find({ where: { provisionDeviceKey }, limit: 1 }, call)).items;
    return found?.value.provisionType === "X509_CERTIFICATE_CHAIN" ? found.value : undefined;
  }

  async #admit(certificate: string, profile: DeviceProfileDocument, call: CallOptions): Promise<void> {
    const settings = (profile.profileData["provisionConfiguration"] ?? {}) as ChainSettings;
    const name = nameOf(certificate, settings.certificateRegExPattern);
    if (name === undefined) return;
    const device = await this.#find(profile.tenantId, name, call);
    if (device !== undefined) await this.#renew(device, { name, profile, certificate }, call);
    else if (settings.allowCreateNewDevicesByX509Certificate === true) {
      await this.#create({ name, profile, certificate }, call);
    }
  }

  async #find(tenantId: string, name: string, call: CallOptions): Promise<DeviceDocument | undefined> {
    return (await this.#deps.registry.devices.find({ where: { tenantId, name }, limit: 1 }, call)).items[0]?.value;
  }

  /** Only a certificate is replaced by a certificate; another profile's device is none of this profile's business. */
  async #renew(device: DeviceDocument, { profile, certificate }: Admission, call: CallOptions): Promise<void> {
    if (device.deviceProfileId !== profile.id) return;
    const { registry } = this.#deps;
    const current = await registry.credentials(device.id, call);
    if (current?.value.credentialsType !== "X509_CERTIFICATE" || current.value.credentialsValue === certificate) return;
    const credentials = { ...current.value, credentialsValue: certificate };
    await registry.saveCredentials({ tenantId: device.tenantId, credentials }, call);
  }

  async #create(admission: Admission, call: CallOptions): Promise<void> {
    const { name, profile, certificate } = admission;
    const { registry, log } = this.#deps;
    const { tenantId } = profile;
    const credentials = { credentialsType: "X509_CERTIFICATE" as const, credentialsValue: certificate };
    try {
      const device = { name, deviceProfileId: profile.id };
      const { value } = await registry.save({ tenantId, device, credentials }, call);
      await this.#provisioned.mark(value, call);
      const request = { deviceName: name, credentialsType: credentials.credentialsType };
      await this.#provisioned.tell("PROVISION_SUCCESS", { device: value, profile, request }, call);
    } catch (error) {
      // Two connections of one device at once: the other one has made it. Or the tenant may have no more.
      if (!isFault(error) || (error.kind !== "invalid" && error.kind !== "denied")) throw error;
      log.debug("no device for a certificate chain", { profile: profile.id, error });
      const other = await this.#find(tenantId, name, call);
      if (other !== undefined) await this.#renew(other, admission, call);
    }
  }
}

/** Group 1 of the profile's pattern in the common name of the leaf. */
function nameOf(certificate: string, pattern: string | null | undefined): string | undefined {
  if (pattern === null || pattern === undefined) return undefined;
  const commonName = commonNameOf(certificate);
  if (commonName === undefined || commonName.length > longestCommonName) return undefined;
  return firstGroup(pattern, commonName)?.trim() || undefined;
}

function commonNameOf(certificate: string): string | undefined {
  try {
    const { CN } = new X509Certificate(Buffer.from(certificate, "base64")).toLegacyObject().subject;
    // Several names come as a list.
    return ([CN].flat() as (string | undefined)[])[0];
  } catch {
    // No certificate, no name.
    return undefined;
  }
}
