import {
  type CallOptions,
  type ChildName,
  type DeviceDocument,
  type DeviceIdentity,
  Fault,
  isFault,
  type Stored,
} from "@heddle/plugin-sdk";
import type { OnboardingDeps } from "./deps.ts";

/** Names that are being looked up or made at once; more are refused for the moment. */
const mostAdopting = 10_000;

/** Devices behind gateways: found by name, made when there is none (device-api 2.9). */
export class Children {
  readonly #deps: OnboardingDeps;
  /** By gateway and name: many first messages of one child make one device. */
  readonly #adopting = new Map<string, Promise<DeviceIdentity>>();

  constructor(deps: OnboardingDeps) {
    this.#deps = deps;
  }

  adopt(gateway: DeviceIdentity, child: ChildName, call: CallOptions): Promise<DeviceIdentity> {
    const key = `${gateway.deviceId}/${child.name}`;
    const running = this.#adopting.get(key);
    if (running !== undefined) return running;
    if (this.#adopting.size >= mostAdopting) {
      throw new Fault("exhausted", "onboarding.busy", `${mostAdopting} children are being looked up, the limit`);
    }
    const adopting = this.#adopt(gateway, child, call).finally(() => this.#adopting.delete(key));
    this.#adopting.set(key, adopting);
    return adopting;
  }

  async #adopt(gateway: DeviceIdentity, child: ChildName, call: CallOptions): Promise<DeviceIdentity> {
    const { sessions } = this.#deps;
    const device = (await this.#find(gateway.tenantId, child.name, call)) ?? (await this.#create(gateway, child, call));
    await this.#markLastGateway(device, gateway, call);
    const identity = await sessions.identify(device.value.id, call);
    if (identity !== undefined) return identity;
    throw new Fault("missing", "record.missing", `Device with id [${device.value.id}] is not found`);
  }

  async #find(tenantId: string, name: string, call: CallOptions): Promise<Stored<DeviceDocument> | undefined> {
    return (await this.#deps.registry.devices.find({ where: { tenantId, name }, limit: 1 }, call)).items[0];
  }

  async #create(
    gateway: DeviceIdentity,
    { name, type = "default" }: ChildName,
    call: CallOptions,
  ): Promise<Stored<DeviceDocument>> {
    const { registry, relations } = this.#deps;
    const { tenantId, customerId = null, deviceId } = gateway;
    const device = { name, type, customerId, additionalInfo: { lastConnectedGateway: deviceId } };
    let made: Stored<DeviceDocument>;
    try {
      made = await registry.save({ tenantId, device }, call);
    } catch (error) {
      // Another gateway, or another node, was faster: the name is claimed once.
      const other = isFault(error) && error.kind === "invalid" ? await this.#find(tenantId, name, call) : undefined;
      if (other === undefined) throw error;
      return other;
    }
    const [from, to] = [deviceId, made.value.id].map((id) => ({ entityType: "DEVICE", id }));
    const relation = { tenantId, type: "Created", typeGroup: "COMMON" as const, additionalInfo: null };
    await relations.save({ ...relation, from: from!, to: to! }, call);
    return made;
  }

  async #markLastGateway(
    { value }: Stored<DeviceDocument>,
    { deviceId, tenantId }: DeviceIdentity,
    call: CallOptions,
  ): Promise<void> {
    if (value.additionalInfo?.["lastConnectedGateway"] === deviceId) return;
    const additionalInfo = { ...value.additionalInfo, lastConnectedGateway: deviceId };
    await this.#deps.registry.save({ tenantId, device: { ...value, additionalInfo } }, call);
  }
}
