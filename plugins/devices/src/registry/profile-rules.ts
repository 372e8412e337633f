import { checkTexts, type DeviceProfileDocument, type Draft, invalid, requireText } from "@heddle/plugin-sdk";

const mqttDefaults = {
  type: "MQTT",
  deviceTelemetryTopic: "v1/devices/me/telemetry",
  deviceAttributesTopic: "v1/devices/me/attributes",
  deviceAttributesSubscribeTopic: "v1/devices/me/attributes",
  transportPayloadTypeConfiguration: { transportPayloadType: "JSON" },
  sparkplug: false,
  sparkplugAttributesMetricNames: null,
  sendAckOnValidationException: false,
};

type Content = Omit<DeviceProfileDocument, "id" | "tenantId" | "createdTime">;

/** A profile on which every device works without further settings. */
export function plainProfile(name: string, isDefault: boolean): Content {
  return {
    name,
    description: "Default device profile",
    type: "DEFAULT",
    transportType: "DEFAULT",
    provisionType: "DISABLED",
    provisionDeviceKey: null,
    default: isDefault,
    defaultRuleChainId: null,
    defaultDashboardId: null,
    defaultQueueName: null,
    defaultEdgeRuleChainId: null,
    firmwareId: null,
    softwareId: null,
    externalId: null,
    image: null,
    profileData: profileData({ provisionType: "DISABLED", transportType: "DEFAULT", given: {} }),
  };
}

/** The profile as it may be stored; faults with the texts of rest-semantics 6. References are checked elsewhere. */
export function checkProfile(draft: Draft<DeviceProfileDocument>): Content {
  const name = requireText("Device profile name", draft.name);
  checkTexts({ name, description: draft.description });
  if (draft.type === undefined || draft.type === null) throw invalid("Device profile type should be specified!");
  if (draft.transportType === undefined || draft.transportType === null) {
    throw invalid("Device profile transport type should be specified!");
  }
  if (draft.profileData === undefined || draft.profileData === null)
    throw invalid("Device profile data should be specified!");
  const { type, transportType, provisionType = "DISABLED" } = draft;
  return {
    name,
    type,
    transportType,
    provisionType,
    description: draft.description ?? null,
    default: draft.default ?? false,
    provisionDeviceKey: draft.provisionDeviceKey ?? null,
    defaultRuleChainId: draft.defaultRuleChainId ?? null,
    defaultDashboardId: draft.defaultDashboardId ?? null,
    defaultQueueName: draft.defaultQueueName ?? null,
    defaultEdgeRuleChainId: draft.defaultEdgeRuleChainId ?? null,
    firmwareId: draft.firmwareId ?? null,
    softwareId: draft.softwareId ?? null,
    externalId: draft.externalId ?? null,
    image: draft.image ?? null,
    profileData: profileData({ transportType, provisionType, given: draft.profileData }),
  };
}

function profileData(what: {
  readonly transportType: string;
  readonly provisionType: string;
  readonly given: Readonly<Record<string, unknown>>;
}): Record<string, unknown> {
  const { transportType, provisionType, given } = what;
  const transport = given["transportConfiguration"] as Record<string, unknown> | undefined;
  const provision = given["provisionConfiguration"] as Record<string, unknown> | undefined;
  return {
    configuration: given["configuration"] ?? { type: "DEFAULT" },
    transportConfiguration:
      transportType === "MQTT" ? { ...mqttDefaults, ...transport } : (transport ?? { type: transportType }),
    provisionConfiguration: { type: provisionType, provisionDeviceSecret: null, ...provision },
    alarms: given["alarms"] ?? null,
  };
}
