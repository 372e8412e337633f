import { timingSafeEqual } from "node:crypto";
import {
  type CallOptions,
  type CredentialsDraft,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  type DeviceProfileDocument,
  deviceView,
  isFault,
  type Plain,
  type ProvisionReply,
  type ProvisionRequest,
  publishEntityEvent,
  type Stored,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import type { OnboardingDeps } from "./deps.ts";

const notFound: ProvisionReply = { errorMsg: "Provision data was not found!", status: "NOT_FOUND" };
const failed: ProvisionReply = { errorMsg: "Failed to provision device!", status: "FAILURE" };
const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const drawnLength = 20;

/** Strategies of a profile for devices that do not exist yet, or exist and have no credentials of their own (device-api 6.2). */
export class Provisioning {
  readonly #deps: OnboardingDeps;

  constructor(deps: OnboardingDeps) {
    this.#deps = deps;
  }

  async provision(request: ProvisionRequest, call: CallOptions): Promise<ProvisionReply> {
    const profile = await this.#profileOf(request, call);
    if (profile === undefined) return notFound;
    // Blanks only are no name (device-api 6.1); nothing at all is drawn.
    if (request.deviceName !== undefined && request.deviceName !== "" && request.deviceName.trim() === "")
      return failed;
    const name = request.deviceName?.trim() ?? "";
    switch (profile.provisionType) {
      case "ALLOW_CREATE_NEW_DEVICES":
        return this.#create({ ...request, deviceName: name === "" ? this.#draw() : name }, profile, call);
      case "CHECK_PRE_PROVISIONED_DEVICES":
        return this.#check(name, profile, call);
      default:
        return failed;
    }
  }

  async #profileOf(
    { provisionDeviceKey: key, provisionDeviceSecret: secret }: ProvisionRequest,
    call: CallOptions,
  ): Promise<DeviceProfileDocument | undefined> {
    if (key === "" || secret === "") return undefined;
    const where = { provisionDeviceKey: key };
    const [found] = (await this.#deps.registry.profiles.find({ where, limit: 1 }, call)).items;
    if (found === undefined || found.value.provisionType === "DISABLED") return undefined;
    const { provisionDeviceSecret } = (found.value.profileData["provisionConfiguration"] ?? {}) as {
      provisionDeviceSecret?: string | null;
    };
    return typeof provisionDeviceSecret === "string" && same(provisionDeviceSecret, secret) ? found.value : undefined;
  }

  async #create(
    request: ProvisionRequest & { readonly deviceName: string },
    profile: DeviceProfileDocument,
    call: CallOptions,
  ): Promise<ProvisionReply> {
    const { registry } = this.#deps;
    const { tenantId } = profile;
    const device = {
      name: request.deviceName,
      deviceProfileId: profile.id,
      additionalInfo: request.gateway === true ? { gateway: true } : null,
    };
    const credentials = this.#credentialsOf(request);
    try {
      const made = await registry.save({ tenantId, device, credentials }, call);
      await this.#provisioned(made, profile, call);
      const stored = await registry.credentials(made.value.id, call);
      return stored === undefined ? failed : replyOf(stored.value);
    } catch (error) {
      // A name or credentials that are taken, or a tenant that may have no more: the device is told no reason.
      if (!isFault(error) || (error.kind !== "invalid" && error.kind !== "denied")) throw error;
      await this.#refused(request.deviceName, profile, call);
      return failed;
    }
  }

  /** Existing credentials go out once; what the device asked for is ignored. */
  async #check(name: string, profile: DeviceProfileDocument, call: CallOptions): Promise<ProvisionReply> {
    const device = await this.#deviceOf(profile.tenantId, name, call);
    if (device === undefined) return failed;
    const { attributes, registry } = this.#deps;
    const entity = { entityType: "DEVICE", id: device.value.id };
    const state = await attributes.get(entity, "SERVER_SCOPE", ["provisionState"], call);
    const credentials = await registry.credentials(device.value.id, call);
    if (device.value.deviceProfileId !== profile.id || state.length > 0 || credentials === undefined) {
      await this.#refused(name, profile, call);
      return failed;
    }
    await this.#provisioned(device, profile, call);
    return replyOf(credentials.value);
  }

  async #deviceOf(tenantId: string, name: string, call: CallOptions): Promise<Stored<DeviceDocument> | undefined> {
    if (name === "") return undefined;
    return (await this.#deps.registry.devices.find({ where: { tenantId, name }, limit: 1 }, call)).items[0];
  }

  async #provisioned(device: Stored<DeviceDocument>, profile: DeviceProfileDocument, call: CallOptions): Promise<void> {
    const entity = { entityType: "DEVICE", id: device.value.id };
    const values = { provisionState: "provisioned" };
    const write = { tenantId: profile.tenantId, entity, scope: "SERVER_SCOPE" as const, values, notifyDevice: false };
    await this.#deps.telemetry.saveAttributes(write, call);
    await this.#tell("PROVISION_SUCCESS", device, profile, call);
  }

  /** Only an attempt that names an existing device has somebody to tell of. */
  async #refused(name: string, profile: DeviceProfileDocument, call: CallOptions): Promise<void> {
    const device = await this.#deviceOf(profile.tenantId, name, call);
    if (device !== undefined) await this.#tell("PROVISION_FAILURE", device, profile, call);
  }

  #tell(
    type: string,
    device: Stored<DeviceDocument>,
    profile: DeviceProfileDocument,
    call: CallOptions,
  ): Promise<void> {
    const { id, tenantId, customerId, name } = device.value;
    const data = writeTypedJson(deviceView(device) as unknown as Plain);
    const originator = { entityType: "DEVICE", id };
    const ruleChainId = profile.defaultRuleChainId;
    return publishEntityEvent(
      this.#deps,
      { tenantId, customerId, type, originator, entityName: name, ruleChainId, data },
      call,
    );
  }

  /** A type whose data is missing gets a token, as recorded (device-api corrections, 6.1). */
  #credentialsOf(request: ProvisionRequest): CredentialsDraft {
    const { clientId, username, password, hash, token } = request;
    if (request.credentialsType === "MQTT_BASIC") {
      const value = JSON.stringify({
        clientId: clientId ?? null,
        userName: username ?? null,
        password: password ?? null,
      });
      return { credentialsType: "MQTT_BASIC", credentialsValue: value };
    }
    if (request.credentialsType === "X509_CERTIFICATE" && hash !== undefined && hash !== "") {
      return { credentialsType: "X509_CERTIFICATE", credentialsValue: hash };
    }
    return {
      credentialsType: "ACCESS_TOKEN",
      credentialsId: token === undefined || token === "" ? this.#draw() : token,
    };
  }

  #draw(): string {
    const { world } = this.#deps;
    // Two random UUIDs hold more chance than twenty letters and digits show.
    const bytes = Buffer.from(`${world.uuid()}${world.uuid()}`.replaceAll("-", ""), "hex");
    const usable = [...bytes].filter((byte) => byte < 256 - (256 % alphabet.length));
    const text = usable.map((byte) => alphabet[byte % alphabet.length]).join("");
    return text.length >= drawnLength ? text.slice(0, drawnLength) : this.#draw();
  }
}

function replyOf({ credentialsType, credentialsId, credentialsValue }: DeviceCredentialsDocument): ProvisionReply {
  switch (credentialsType) {
    case "MQTT_BASIC":
      return { credentialsType, credentialsValue: JSON.parse(credentialsValue ?? "{}"), status: "SUCCESS" };
    case "X509_CERTIFICATE":
      return { credentialsType, credentialsValue: credentialsValue ?? "", status: "SUCCESS" };
    case "LWM2M_CREDENTIALS":
      return { credentialsType, status: "SUCCESS" };
    default:
      return { credentialsType, credentialsValue: credentialsId, status: "SUCCESS" };
  }
}

/** Takes equally long whatever the first difference is. */
function same(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
