import {
  type ActorKind,
  type ActorRef,
  type CallOptions,
  type DeviceDocument,
  type DeviceProfileDocument,
  entityKey,
  type Plain,
  type ProvisionRequest,
  publishRuleEvent,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { deviceEntity, type OnboardingDeps, serverScope } from "./deps.ts";

export interface ProvisionedVerbs {
  /** True for the first who asks, as long as the mark stays: operators take it away to let a device in again. */
  mark(deviceId: string): boolean;
}

/** Who has been provisioned, and that everybody hears of it (device-api 6.2). */
export class Provisioned {
  readonly #deps: OnboardingDeps;
  /** One activation in the cluster: two requests for one device do not both find it unmarked. */
  readonly kind: ActorKind<ProvisionedVerbs>;

  constructor(deps: OnboardingDeps) {
    this.#deps = deps;
    this.kind = {
      kind: "provisioned",
      placement: "partition",
      idleMs: 10_000,
      activate: ({ key, signal }) => ({
        mark: (deviceId) => this.#mark(key.slice(0, key.indexOf("/")), deviceId, { signal }),
      }),
    };
  }

  async mark({ tenantId, id }: DeviceDocument, call: CallOptions): Promise<boolean> {
    const actor: ActorRef<ProvisionedVerbs> = this.#deps.actors.ref(this.kind, entityKey(tenantId, deviceEntity(id)));
    return actor.ask("mark", id, call);
  }

  async #mark(tenantId: string, deviceId: string, call: CallOptions): Promise<boolean> {
    const { attributes, telemetry } = this.#deps;
    const entity = deviceEntity(deviceId);
    if ((await attributes.get(entity, serverScope, ["provisionState"], call)).length > 0) return false;
    const values = { provisionState: "provisioned" };
    await telemetry.saveAttributes({ tenantId, entity, scope: serverScope, values, notifyDevice: false }, call);
    return true;
  }

  /** The message carries what the request says of the device, and nothing that proves it: chains log what they get. */
  tell(
    type: "PROVISION_SUCCESS" | "PROVISION_FAILURE",
    what: {
      readonly device: DeviceDocument;
      readonly profile: DeviceProfileDocument;
      readonly request: Pick<ProvisionRequest, "deviceName" | "credentialsType" | "gateway">;
    },
    call: CallOptions,
  ): Promise<void> {
    const { device, profile, request } = what;
    const { deviceName = null, credentialsType = null, gateway = false } = request;
    const data = { deviceName, credentialsType, gateway };
    const event = {
      tenantId: device.tenantId,
      type,
      originator: deviceEntity(device.id),
      metadata: { tenantId: device.tenantId },
      data: writeTypedJson(data as Plain),
      ...(device.customerId === null ? {} : { customerId: device.customerId }),
      ...(profile.defaultRuleChainId === null ? {} : { ruleChainId: profile.defaultRuleChainId }),
    };
    return publishRuleEvent(this.#deps, event, call);
  }
}
