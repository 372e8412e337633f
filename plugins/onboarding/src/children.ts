import {
  type CallOptions,
  type ChildName,
  type DeviceDocument,
  type DeviceIdentity,
  Fault,
  isFault,
  type Stored,
} from "@heddle/plugin-sdk";
import { deviceEntity, type OnboardingDeps } from "./deps.ts";

/** Devices behind gateways: found by name, made when there is none (device-api 2.9). */
export class Children {
  readonly #deps: OnboardingDeps;

  constructor(deps: OnboardingDeps) {
    this.#deps = deps;
  }

  /** A child that was here before costs three reads. */
  async adopt(gateway: DeviceIdentity, child: ChildName, call: CallOptions): Promise<DeviceIdentity> {
    const { tenantId, deviceId: gatewayId } = gateway;
    const found = (await this.#find(tenantId, child.name, call)) ?? (await this.#make(gateway, child, call));
    const { id, additionalInfo } = found.value;
    if (additionalInfo?.["lastConnectedGateway"] !== gatewayId) {
      const members = { lastConnectedGateway: gatewayId };
      await this.#deps.registry.annotate({ tenantId, deviceId: id, members }, call);
    }
    const identity = await this.#deps.sessions.identify(id, call);
    if (identity !== undefined) return identity;
    throw new Fault("missing", "record.missing", `Device with id [${id}] is not found`);
  }

  async #find(tenantId: string, name: string, call: CallOptions): Promise<Stored<DeviceDocument> | undefined> {
    return (await this.#deps.registry.devices.find({ where: { tenantId, name }, limit: 1 }, call)).items[0];
  }

  async #make(
    gateway: DeviceIdentity,
    { name, type = "default" }: ChildName,
    call: CallOptions,
  ): Promise<Stored<DeviceDocument>> {
    const { registry, relations } = this.#deps;
    const { tenantId, customerId = null, deviceId: gatewayId } = gateway;
    const device = { name, type, customerId, additionalInfo: { lastConnectedGateway: gatewayId } };
    const metadata = { gatewayId, ...(customerId === null ? {} : { customerId }) };
    let made: Stored<DeviceDocument>;
    try {
      made = await registry.save({ tenantId, device, metadata }, call);
    } catch (error) {
      // Another gateway, another node or another message was faster: the name is claimed once.
      const other = isFault(error) && error.kind === "invalid" ? await this.#find(tenantId, name, call) : undefined;
      if (other === undefined) throw error;
      return other;
    }
    const edge = { from: deviceEntity(gatewayId), to: deviceEntity(made.value.id), type: "Created" };
    await relations.save({ tenantId, ...edge, typeGroup: "COMMON", additionalInfo: null }, call);
    return made;
  }
}
