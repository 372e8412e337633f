import { timingSafeEqual } from "node:crypto";
import {
  type CallOptions,
  type CredentialsDraft,
  type DeviceCredentialsDocument,
  type DeviceDocument,
  type DeviceProfileDocument,
  isFault,
  type ProvisionReply,
  type ProvisionRequest,
  type Stored,
} from "@heddle/plugin-sdk";
import type { OnboardingDeps } from "./deps.ts";
import type { Provisioned } from "./provisioned.ts";

const notFound: ProvisionReply = { errorMsg: "Provision data was not found!", status: "NOT_FOUND" };
const failed: ProvisionReply = { errorMsg: "Failed to provision device!", status: "FAILURE" };
const nameLength = 20;

interface Attempt {
  readonly request: ProvisionRequest;
  /** Trimmed; empty when the request has none. */
  readonly name: string;
  readonly profile: DeviceProfileDocument;
}

/** Strategies of a profile for devices that do not exist yet, or exist and do not know their credentials (device-api 6.2). */
export class Provisioning {
  readonly #deps: OnboardingDeps;
  readonly #provisioned: Provisioned;

  constructor(deps: OnboardingDeps, provisioned: Provisioned) {
    this.#deps = deps;
    this.#provisioned = provisioned;
  }

  async provision(request: ProvisionRequest, call: CallOptions): Promise<ProvisionReply> {
    const profile = await this.#profileOf(request, call);
    if (profile === undefined) return notFound;
    const name = request.deviceName?.trim() ?? "";
    // Blanks only are no name; nothing at all is drawn (device-api 6.1).
    if (name === "" && (request.deviceName ?? "") !== "") return failed;
    switch (profile.provisionType) {
      case "ALLOW_CREATE_NEW_DEVICES":
        return this.#create({ request, profile, name: name === "" ? this.#drawName() : name }, call);
      case "CHECK_PRE_PROVISIONED_DEVICES":
        return this.#handOut({ request, profile, name }, call);
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

  /** The name is claimed once: of many requests one makes the device. */
  async #create(attempt: Attempt, call: CallOptions): Promise<ProvisionReply> {
    const { request, name, profile } = attempt;
    const { registry } = this.#deps;
    const credentials = credentialsOf(request);
    const device = {
      name,
      deviceProfileId: profile.id,
      ...(request.gateway === true ? { additionalInfo: { gateway: true } } : {}),
    };
    let made: Stored<DeviceDocument>;
    try {
      const what = { tenantId: profile.tenantId, device, ...(credentials === undefined ? {} : { credentials }) };
      made = await registry.save(what, call);
    } catch (error) {
      // A name or credentials that are taken, or a tenant that may have no more: the device is told no reason.
      if (!isFault(error) || (error.kind !== "invalid" && error.kind !== "denied")) throw error;
      const other = await this.#deviceOf(attempt, call);
      if (other !== undefined) await this.#provisioned.tell("PROVISION_FAILURE", { ...attempt, device: other }, call);
      return failed;
    }
    await this.#provisioned.mark(made.value, call);
    await this.#provisioned.tell("PROVISION_SUCCESS", { ...attempt, device: made.value }, call);
    return this.#replyFor(made.value, call);
  }

  /** Existing credentials go out once; what the device asked for is ignored. */
  async #handOut(attempt: Attempt, call: CallOptions): Promise<ProvisionReply> {
    const device = await this.#deviceOf(attempt, call);
    if (device === undefined) return failed;
    const here = device.deviceProfileId === attempt.profile.id && (await this.#provisioned.mark(device, call));
    await this.#provisioned.tell(here ? "PROVISION_SUCCESS" : "PROVISION_FAILURE", { ...attempt, device }, call);
    return here ? this.#replyFor(device, call) : failed;
  }

  async #deviceOf({ name, profile }: Attempt, call: CallOptions): Promise<DeviceDocument | undefined> {
    if (name === "") return undefined;
    const where = { tenantId: profile.tenantId, name };
    return (await this.#deps.registry.devices.find({ where, limit: 1 }, call)).items[0]?.value;
  }

  async #replyFor({ id }: DeviceDocument, call: CallOptions): Promise<ProvisionReply> {
    const credentials = await this.#deps.registry.credentials(id, call);
    return credentials === undefined ? failed : replyOf(credentials.value);
  }

  #drawName(): string {
    const { world } = this.#deps;
    return `${world.uuid()}${world.uuid()}`.replaceAll("-", "").slice(0, nameLength);
  }
}

/** Undefined: the registry draws a token. So it is for a type whose data is missing, as the reference does. */
function credentialsOf(request: ProvisionRequest): CredentialsDraft | undefined {
  const { credentialsType, clientId = null, username: userName = null, password = null, hash, token } = request;
  if (credentialsType === "MQTT_BASIC") {
    return { credentialsType, credentialsValue: JSON.stringify({ clientId, userName, password }) };
  }
  if (credentialsType === "X509_CERTIFICATE" && hash !== undefined && hash !== "") {
    return { credentialsType, credentialsValue: hash };
  }
  const given = credentialsType === undefined || credentialsType === "ACCESS_TOKEN" ? token : undefined;
  return given === undefined || given === "" ? undefined : { credentialsType: "ACCESS_TOKEN", credentialsId: given };
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
