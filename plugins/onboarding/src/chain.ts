import { X509Certificate } from "node:crypto";
import {
  type CallOptions,
  credentialsHash,
  type DeviceDocument,
  type DeviceProfileDocument,
  isFault,
  type Stored,
} from "@heddle/plugin-sdk";
import type { OnboardingDeps } from "./deps.ts";

/** `provisionConfiguration` of a profile with chain provisioning. */
interface ChainSettings {
  readonly certificateRegExPattern?: string | null;
  readonly allowCreateNewDevicesByX509Certificate?: boolean | null;
}

/** Devices that a certificate authority vouches for (device-api 1.6). */
export class CertificateChains {
  readonly #deps: OnboardingDeps;

  constructor(deps: OnboardingDeps) {
    this.#deps = deps;
  }

  async present(chain: readonly Uint8Array[], call: CallOptions): Promise<void> {
    const [leaf] = chain;
    if (leaf === undefined) return;
    for (const der of chain) {
      const hash = credentialsHash(Buffer.from(der).toString("base64"));
      const [profile] = (
        await this.#deps.registry.profiles.find({ where: { provisionDeviceKey: hash }, limit: 1 }, call)
      ).items;
      if (profile?.value.provisionType === "X509_CERTIFICATE_CHAIN") return this.#admit(leaf, profile.value, call);
    }
  }

  async #admit(leaf: Uint8Array, profile: DeviceProfileDocument, call: CallOptions): Promise<void> {
    const settings = (profile.profileData["provisionConfiguration"] ?? {}) as ChainSettings;
    const name = nameOf(leaf, settings.certificateRegExPattern);
    if (name === undefined) return;
    const where = { tenantId: profile.tenantId, name };
    const [device] = (await this.#deps.registry.devices.find({ where, limit: 1 }, call)).items;
    const certificate = Buffer.from(leaf).toString("base64");
    if (device !== undefined) return this.#renew(device, { profile, certificate }, call);
    if (settings.allowCreateNewDevicesByX509Certificate === true)
      await this.#create(name, { profile, certificate }, call);
  }

  /** Only a certificate is replaced by a certificate; another profile's device is nobody of ours. */
  async #renew(
    { value: { id, tenantId, deviceProfileId } }: Stored<DeviceDocument>,
    { profile, certificate }: { readonly profile: DeviceProfileDocument; readonly certificate: string },
    call: CallOptions,
  ): Promise<void> {
    if (deviceProfileId !== profile.id) return;
    const current = await this.#deps.registry.credentials(id, call);
    if (current?.value.credentialsType !== "X509_CERTIFICATE" || current.value.credentialsValue === certificate) return;
    const credentials = { ...current.value, credentialsValue: certificate };
    await this.#deps.registry.saveCredentials({ tenantId, credentials }, call);
  }

  async #create(
    name: string,
    { profile, certificate }: { readonly profile: DeviceProfileDocument; readonly certificate: string },
    call: CallOptions,
  ): Promise<void> {
    const { tenantId } = profile;
    const credentials = { credentialsType: "X509_CERTIFICATE" as const, credentialsValue: certificate };
    try {
      await this.#deps.registry.save({ tenantId, device: { name, deviceProfileId: profile.id }, credentials }, call);
    } catch (error) {
      // Two connections of one device at once: the other one has made it. Or the tenant may have no more.
      if (!isFault(error) || (error.kind !== "invalid" && error.kind !== "denied")) throw error;
      this.#deps.log.debug("no device for a certificate chain", { profile: profile.id, error });
    }
  }
}

/** Group 1 of the profile's pattern in the common name of the leaf. */
function nameOf(leaf: Uint8Array, pattern: string | null | undefined): string | undefined {
  const subject = new X509Certificate(leaf).subject;
  const commonName = /^CN=(.*)$/m.exec(subject)?.[1];
  if (commonName === undefined || pattern === null || pattern === undefined) return undefined;
  const name = new RegExp(pattern).exec(commonName)?.[1];
  return name === undefined || name === "" ? undefined : name;
}
