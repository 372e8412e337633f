import mqttPacket, { type Packet } from "mqtt-packet";
import type { Dice } from "./dice.ts";
import { telemetryText } from "./json-text.ts";
import { lastType, messageOf, sparkplugSource } from "./proto-schemas.ts";

export type Level = 3 | 4 | 5;
export const levels = [3, 4, 5] as const;

/** Every form of topic that devices and gateways use (device-api 2.2), and some that are none. */
const topics = [
  "v1/devices/me/telemetry",
  "v1/devices/me/attributes",
  "v1/devices/me/attributes/request/N",
  "v1/devices/me/rpc/request/N",
  "v1/devices/me/rpc/response/N",
  "v1/devices/me/claim",
  "v2/t",
  "v2/t/j",
  "v2/t/p",
  "v2/a",
  "v2/a/j",
  "v2/a/p",
  "v2/a/req/N",
  "v2/a/req/j/N",
  "v2/a/req/p/N",
  "v2/r/req/N",
  "v2/r/res/j/N",
  "v2/r/req/p/N",
  "v2/fw/request/N/chunk/N",
  "v2/sw/request/N/chunk/N",
  "v1/gateway/connect",
  "v1/gateway/disconnect",
  "v1/gateway/telemetry",
  "v1/gateway/attributes",
  "v1/gateway/attributes/request",
  "v1/gateway/rpc",
  "v1/gateway/claim",
  "/provision/request",
  "foo/bar",
  "__proto__",
  "$SYS/x",
];
const numbers = ["0", "1", "7", "007", "-1", "2147483647", "2147483648", "99999999999999999999", "abc", ""];
const filters = ["#", "+", "v1/devices/me/+", "v2/a", "v2/fw/response/+", "v1/gateway/rpc", "constructor", "a/#/b"];

const documents: readonly ((dice: Dice) => string)[] = [
  (dice) => telemetryText(dice, dice.chance(0.3)),
  () => '{"clientKeys":"a,b","sharedKeys":"c"}',
  () => '{"method":"getSessionLimits","params":{}}',
  () => '{"method":"m"}',
  () => '{"device":"A","type":"t"}',
  () => '{"device":"A","id":1,"client":true,"keys":[]}',
  () => '{"device":"A","id":1,"data":{}}',
  (dice) => `{"A":[${telemetryText(dice, false)}],"__proto__":[{"x":1}]}`,
  () => '{"A":[{"ts":1,"values":{},"metadata":{"connector":"c","receivedTs":1,"publishedTs":2}}]}',
  () => '{"secretKey":"k","durationMs":60000}',
  () => '{"provisionDeviceKey":"k","provisionDeviceSecret":"s"}',
  () => "4096",
  () => "",
];

export function connect(dice: Dice, level: Level): Packet {
  const protocolId = level === 3 ? "MQIsdp" : "MQTT";
  const will = { topic: "v2/t", payload: Buffer.from("{}"), qos: 1, retain: false } as const;
  return {
    cmd: "connect",
    protocolId,
    protocolVersion: level,
    clean: dice.chance(0.5),
    clientId: dice.pick(["c", "provision", "constructor"]),
    keepalive: dice.below(3) * 60,
    ...(dice.chance(0.9) ? { username: dice.pick(["T", "G", "G", "provision", "__proto__"]) } : {}),
    ...(dice.chance(0.1) ? { will } : {}),
    ...(level === 5 && dice.chance(0.3) ? { properties: { receiveMaximum: 1 + dice.below(3) } } : {}),
  } as Packet;
}

export function publish(dice: Dice, level: Level): Packet {
  const topic = dice.pick(topics).replaceAll("N", () => dice.pick(numbers));
  const qos = dice.below(3) as 0 | 1 | 2;
  const payload = dice.chance(0.9) ? Buffer.from(dice.pick(documents)(dice)) : dice.bytes(dice.length(300));
  const properties = { topicAlias: 1 + dice.below(10), userProperties: { [dice.pick(["a", "__proto__"])]: "x" } };
  return {
    cmd: "publish",
    topic,
    payload,
    qos,
    dup: qos > 0 && dice.chance(0.2),
    retain: dice.chance(0.1),
    ...(qos > 0 ? { messageId: 1 + dice.below(4) } : {}),
    ...(level === 5 && dice.chance(0.3) ? { properties } : {}),
  } as Packet;
}

/** Anything that a client may send behind its CONNECT. */
export function packet(dice: Dice, level: Level): Packet {
  const messageId = 1 + dice.below(4);
  const filter = () => (dice.chance(0.5) ? dice.pick(filters) : dice.pick(topics).replaceAll("N", "+"));
  switch (dice.below(12)) {
    case 0: {
      const subscriptions = [filter(), filter()].map((topic) => ({ topic, qos: dice.below(3) as 0 | 1 | 2 }));
      return { cmd: "subscribe", messageId, subscriptions } as Packet;
    }
    case 1:
      return { cmd: "unsubscribe", messageId, unsubscriptions: [filter()] } as Packet;
    case 2:
      return { cmd: "pingreq" };
    case 3:
      return { cmd: dice.pick(["puback", "pubrec", "pubrel", "pubcomp"] as const), messageId } as Packet;
    case 4:
      return dice.chance(0.3) ? { cmd: "disconnect" } : connect(dice, level);
    default:
      return publish(dice, level);
  }
}

export const encoded = (what: Packet, level: Level): Buffer => mqttPacket.generate(what, { protocolVersion: level });

const sparkplug = lastType(sparkplugSource);
const kinds = ["NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD", "STATE"];

/** A Sparkplug edge node: its CONNECT with a death, and what it may say. */
export function edgeNode(dice: Dice, level: Level): Packet[] {
  const payload = () => Buffer.from(messageOf(sparkplug, dice));
  const said = dice.some(8, () => {
    const kind = dice.pick(kinds);
    const device = kind.startsWith("D") && dice.chance(0.9) ? `/${dice.pick(["d1", "__proto__"])}` : "";
    const topic = `spBv1.0/G/${kind}/E${device}`;
    return { cmd: "publish", topic, payload: payload(), qos: 1, messageId: 1, dup: false, retain: false } as Packet;
  });
  const hello = {
    ...connect(dice, level),
    username: "N",
    clean: true,
    will: { topic: "spBv1.0/G/NDEATH/E", payload: payload(), qos: 1, retain: false },
    ...(level === 5 ? { properties: { sessionExpiryInterval: 0 } } : {}),
  } as Packet;
  return [hello, ...said];
}
