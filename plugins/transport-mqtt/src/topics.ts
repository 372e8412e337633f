/** Families of topics (device-api 2.2): long, short, short and always JSON. */
export type Family = 0 | 1 | 2;
export const v1: Family = 0;

export type Operation =
  | "telemetry"
  | "attributes"
  | "attributeRequest"
  | "rpcReply"
  | "clientRpc"
  | "gateway"
  | "unknown";

export interface KnownTopic {
  readonly bytes: Buffer;
  readonly operation: Operation;
  readonly family: Family;
}

const known = (text: string, operation: Operation, family: Family): KnownTopic => ({
  bytes: Buffer.from(text),
  operation,
  family,
});

/** By length of the topic: one or two candidates for any publish. */
const exact: KnownTopic[][] = [];
for (const topic of [
  known("v1/devices/me/telemetry", "telemetry", 0),
  known("v1/devices/me/attributes", "attributes", 0),
  known("v2/t", "telemetry", 1),
  known("v2/t/j", "telemetry", 2),
  known("v2/a", "attributes", 1),
  known("v2/a/j", "attributes", 2),
]) {
  exact[topic.bytes.length] ??= [];
  exact[topic.bytes.length]!.push(topic);
}

/** In the order of dispatch (device-api 2.2); what follows the prefix is the request id. */
const prefixes: readonly KnownTopic[] = [
  known("v1/gateway", "gateway", 0),
  known("v1/devices/me/attributes/request/", "attributeRequest", 0),
  known("v1/devices/me/rpc/response/", "rpcReply", 0),
  known("v1/devices/me/rpc/request/", "clientRpc", 0),
  known("v2/a/req/j/", "attributeRequest", 2),
  known("v2/r/res/j/", "rpcReply", 2),
  known("v2/r/req/j/", "clientRpc", 2),
  known("v2/a/req/p/", "unknown", 1),
  known("v2/r/res/p/", "unknown", 1),
  known("v2/r/req/p/", "unknown", 1),
  known("v2/a/req/", "attributeRequest", 1),
  known("v2/r/res/", "rpcReply", 1),
  known("v2/r/req/", "clientRpc", 1),
];

/** The topic between `from` and `to`, found without making a string of it. */
export function findTopic(bytes: Uint8Array, from: number, to: number): KnownTopic | undefined {
  const candidates = exact[to - from];
  if (candidates !== undefined) {
    for (const topic of candidates) if (startsWith(bytes, from, topic.bytes)) return topic;
  }
  for (const topic of prefixes) {
    if (topic.bytes.length <= to - from && startsWith(bytes, from, topic.bytes)) return topic;
  }
  return undefined;
}

function startsWith(bytes: Uint8Array, from: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[from + i] !== wanted[i]) return false;
  return true;
}

/** The id behind a prefix; undefined when it is no 32-bit integer. */
export function requestIdOf(text: string): number | undefined {
  if (!/^-?\d{1,16}$/.test(text)) return undefined;
  const id = Number(text);
  return id === (id | 0) ? id : undefined;
}

/** Topics of what the server publishes, by the family that the device used last. */
export const downTopics = {
  attributes: ["v1/devices/me/attributes", "v2/a", "v2/a/j"],
  attributeResponse: ["v1/devices/me/attributes/response/", "v2/a/res/", "v2/a/res/j/"],
  rpcRequest: ["v1/devices/me/rpc/request/", "v2/r/req/", "v2/r/req/j/"],
  rpcResponse: ["v1/devices/me/rpc/response/", "v2/r/res/", "v2/r/res/j/"],
} as const;
export type Down = keyof typeof downTopics;
