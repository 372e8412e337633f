import type { DeviceIdentity } from "@heddle/plugin-sdk";

/** What the profile says about topics (device-api 2.12). */
export interface ProfileTopics {
  /** Undefined where the standard topics hold. */
  readonly custom: CustomTopics | undefined;
  /** A payload that cannot be read is acknowledged and the connection stays, on 3.1 and 3.1.1 too. */
  readonly ackInvalid: boolean;
}

export interface CustomTopics {
  telemetry(topic: string): boolean;
  attributes(topic: string): boolean;
  /** Whether a SUBSCRIBE filter's text asks for attribute updates. */
  attributesSubscribe(filter: string): boolean;
}

const standard: ProfileTopics = { custom: undefined, ackInvalid: false };
/** Identities of one profile share its configuration object, or hold a small one each. */
const read = new WeakMap<object, ProfileTopics>();

export function profileTopics({ transportType, transport }: DeviceIdentity): ProfileTopics {
  if (transportType !== "MQTT") return standard;
  let topics = read.get(transport);
  if (topics === undefined) {
    topics = {
      custom: {
        telemetry: matcher(transport["deviceTelemetryTopic"], "v1/devices/me/telemetry"),
        attributes: matcher(transport["deviceAttributesTopic"], "v1/devices/me/attributes"),
        attributesSubscribe: matcher(transport["deviceAttributesSubscribeTopic"], "v1/devices/me/attributes"),
      },
      ackInvalid: transport["sendAckOnValidationException"] === true,
    };
    read.set(transport, topics);
  }
  return topics;
}

function matcher(filter: unknown, standardTopic: string): (topic: string) => boolean {
  const text = typeof filter === "string" && filter.trim() !== "" ? filter : standardTopic;
  if (text === "#") return () => true;
  if (!/[+#]/.test(text)) return (topic) => topic === text;
  const below = text.endsWith("/#");
  const levels = (below ? text.slice(0, -2) : text).split("/");
  return (topic) => {
    const given = topic.split("/");
    if (below ? given.length < levels.length : given.length !== levels.length) return false;
    return levels.every((level, i) => (level === "+" ? given[i] !== "" : level === given[i]));
  };
}
