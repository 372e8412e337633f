import {
  checkTexts,
  type DeviceDocument,
  type DeviceProfileDocument,
  type DeviceSave,
  requireText,
} from "@heddle/plugin-sdk";

export type DeviceContent = Omit<DeviceDocument, "id" | "createdTime">;

/** The device as it may be stored, on its profile; faults with the texts of rest-semantics 6.1–6.3. */
export function deviceContent({ tenantId, device }: DeviceSave, profile: DeviceProfileDocument): DeviceContent {
  const transport = { type: profile.transportType };
  return {
    tenantId,
    customerId: device.customerId ?? null,
    name: device.name ?? "",
    type: profile.name,
    label: device.label ?? null,
    deviceProfileId: profile.id,
    deviceData: device.deviceData ?? { configuration: { type: profile.type }, transportConfiguration: transport },
    firmwareId: device.firmwareId ?? null,
    softwareId: device.softwareId ?? null,
    externalId: device.externalId ?? null,
    additionalInfo: device.additionalInfo ?? null,
  };
}

export function checkDevice({ name, type, label }: DeviceSave["device"]): void {
  requireText("Device name", name);
  checkTexts({ name, type, label });
}
