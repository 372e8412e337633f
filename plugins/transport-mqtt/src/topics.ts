/** Families of topics (device-api 2.2): long, short, short and always JSON, short and always Protobuf. */
export type Family = 0 | 1 | 2 | 3;
export const v1: Family = 0;

export type Operation =
  | "telemetry"
  | "attributes"
  | "attributeRequest"
  | "rpcReply"
  | "clientRpc"
  | "claim"
  | "gateway";

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
  known("v1/devices/me/claim", "claim", 0),
  known("v2/t", "telemetry", 1),
  known("v2/t/j", "telemetry", 2),
  known("v2/t/p", "telemetry", 3),
  known("v2/a", "attributes", 1),
  known("v2/a/j", "attributes", 2),
  known("v2/a/p", "attributes", 3),
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
  known("v2/a/req/p/", "attributeRequest", 3),
  known("v2/r/res/p/", "rpcReply", 3),
  known("v2/r/req/p/", "clientRpc", 3),
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

export interface ChunkTopic {
  readonly kind: "fw" | "sw";
  /** As the device wrote it: its answer carries the same text. */
  readonly request: string;
  readonly chunk: number;
}

const chunkPattern = /v2\/(fw|sw)\/request\/(\d{1,19})\/chunk\/(\d{1,15})/;

/** A request for a piece of a package; the pattern may stand anywhere in the topic (device-api corrections, 2.8). */
export function chunkTopicOf(topic: string): ChunkTopic | undefined {
  const [, kind, request, chunk] = chunkPattern.exec(topic) ?? [];
  if (request === undefined) return undefined;
  return { kind: kind as "fw" | "sw", request, chunk: Number(chunk) };
}

/** Topics of what the server publishes, by the family that the device used last. */
export const downTopics = {
  attributes: ["v1/devices/me/attributes", "v2/a", "v2/a/j", "v2/a/p"],
  attributeResponse: ["v1/devices/me/attributes/response/", "v2/a/res/", "v2/a/res/j/", "v2/a/res/p/"],
  rpcRequest: ["v1/devices/me/rpc/request/", "v2/r/req/", "v2/r/req/j/", "v2/r/req/p/"],
  rpcResponse: ["v1/devices/me/rpc/response/", "v2/r/res/", "v2/r/res/j/", "v2/r/res/p/"],
} as const;
export type Down = keyof typeof downTopics;

/** What else is published, in one form each. */
export const singleTopics = {
  firmwareChunk: "v2/fw/response/+/chunk/+",
  softwareChunk: "v2/sw/response/+/chunk/+",
  firmwareError: "v2/fw/error",
  softwareError: "v2/sw/error",
  gatewayAttributes: "v1/gateway/attributes",
  gatewayAttributesResponse: "v1/gateway/attributes/response",
  gatewayRpc: "v1/gateway/rpc",
  gatewayDisconnect: "v1/gateway/disconnect",
  /** Stands for the filters of commands, which name the node. */
  sparkplugCommand: "spBv1.0",
} as const;
export type Single = keyof typeof singleTopics;
