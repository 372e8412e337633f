import { payloadSettings, schemasOf } from "@heddle/payload-codec";
import { checkTexts, type DeviceProfileDocument, type Draft, invalid, requireText } from "@heddle/plugin-sdk";
import { alarmRules } from "./alarm-rules.ts";
import { provisionSettings } from "./provision-rules.ts";

/** The queues there are; chains run alike in all of them (rest-semantics 7.9). */
const queues = ["Main", "HighPriority", "SequentialByOriginator"];

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

const coapDefaults = {
  type: "COAP",
  coapDeviceTypeConfiguration: {
    coapDeviceType: "DEFAULT",
    transportPayloadTypeConfiguration: { transportPayloadType: "JSON" },
  },
  clientSettings: null,
};

type Members = Readonly<Record<string, unknown>>;
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
    profileData: {
      configuration: { type: "DEFAULT" },
      transportConfiguration: { type: "DEFAULT" },
      provisionConfiguration: { type: "DISABLED", provisionDeviceSecret: null },
      alarms: null,
    },
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
  const { type, transportType, provisionType = "DISABLED", profileData } = draft;
  checkNames(draft);
  const configuration = profileData["provisionConfiguration"] as Members | undefined;
  const key = draft.provisionDeviceKey ?? null;
  const provision = provisionSettings({ type: provisionType, key, configuration });
  return {
    name,
    type,
    transportType,
    provisionType,
    description: draft.description ?? null,
    default: draft.default ?? false,
    provisionDeviceKey: provision.provisionDeviceKey,
    defaultRuleChainId: draft.defaultRuleChainId ?? null,
    defaultDashboardId: draft.defaultDashboardId ?? null,
    defaultQueueName: draft.defaultQueueName ?? null,
    defaultEdgeRuleChainId: draft.defaultEdgeRuleChainId ?? null,
    firmwareId: draft.firmwareId ?? null,
    softwareId: draft.softwareId ?? null,
    externalId: draft.externalId ?? null,
    image: draft.image ?? null,
    profileData: {
      configuration: profileData["configuration"] ?? { type: "DEFAULT" },
      transportConfiguration: transportSettings(transportType, profileData["transportConfiguration"] as Members),
      provisionConfiguration: provision.configuration,
      alarms: alarmRules(profileData["alarms"]),
    },
  };
}

/** There are no dashboards here, so none can be assigned. */
function checkNames({ defaultQueueName, defaultDashboardId }: Draft<DeviceProfileDocument>): void {
  if (defaultQueueName !== undefined && defaultQueueName !== null && defaultQueueName !== "") {
    if (!queues.includes(defaultQueueName)) throw invalid("Device profile is referencing to non-existent queue!");
  }
  if (defaultDashboardId !== undefined && defaultDashboardId !== null) {
    throw invalid("Can't assign non-existent dashboard!");
  }
}

/** Schemas are read when they are saved: a device could not tell anybody that they are broken (rest-semantics 15.6). */
function transportSettings(type: string, given: Members | null | undefined): Members {
  if (type !== "MQTT" && type !== "COAP") return given ?? { type };
  const settings: Members = { ...(type === "MQTT" ? mqttDefaults : coapDefaults), ...given };
  const protobuf = payloadSettings(settings);
  if (protobuf !== undefined) schemasOf(protobuf);
  return settings;
}
