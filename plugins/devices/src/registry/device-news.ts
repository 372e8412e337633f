import {
  type CallOptions,
  type DeviceDocument,
  type DeviceEvent,
  type DeviceProfileDocument,
  type Doer,
  deviceLane,
  deviceView,
  entityKey,
  type Lanes,
  type Plain,
  publishEntityEvent,
  type Stored,
  type World,
  writeTypedJson,
} from "@heddle/plugin-sdk";

/** What others hear of a change: the owner of the device, and the rule chains of its tenant. */
export class DeviceNews {
  readonly #to: { readonly lanes: Lanes; readonly world: World };

  constructor(to: { readonly lanes: Lanes; readonly world: World }) {
    this.#to = to;
  }

  notify(event: DeviceEvent, call: CallOptions): Promise<void> {
    const key = entityKey(event.tenantId, { entityType: "DEVICE", id: event.deviceId });
    return this.#to.lanes.publish(deviceLane, key, event, call);
  }

  tell(
    type: string,
    what: {
      readonly device: Stored<DeviceDocument>;
      readonly by: Doer | undefined;
      readonly profile: DeviceProfileDocument | undefined;
      readonly metadata?: Readonly<Record<string, string>> | undefined;
    },
    call: CallOptions,
  ): Promise<void> {
    const { device, by, profile, metadata } = what;
    const { id, tenantId, name, customerId } = device.value;
    const event = {
      tenantId,
      type,
      customerId,
      originator: { entityType: "DEVICE", id },
      entityName: name,
      ruleChainId: profile?.defaultRuleChainId,
      by,
      data: writeTypedJson(deviceView(device) as unknown as Plain),
      ...(metadata === undefined ? {} : { metadata }),
    };
    return publishEntityEvent(this.#to, event, call);
  }
}
