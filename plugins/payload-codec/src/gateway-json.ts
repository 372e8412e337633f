import { type AttributesReply, asFault, Fault, type Plain, readTypedJson, writeTypedJson } from "@heddle/plugin-sdk";
import { compact, malformed, readDocument, scalarText } from "./document.ts";
import type { ChildAttributesRequest, ChildPart, GatewayCodec, Latency } from "./gateway.ts";
import type { Node } from "./lenient-json.ts";

type Members = ReadonlyMap<string, Node>;
const none = Buffer.alloc(0);

/** Fault for a document that can be read and says not what it should. */
export function wrongShape(what: string): Fault {
  return new Fault("invalid", "gateway.shape", `gateway message: ${what}`);
}

export const jsonGatewayCodec: GatewayCodec = {
  connect(payload) {
    const members = documentOf(payload);
    const type = scalarText(members.get("type"));
    return { name: nameOf(members), ...(type === undefined || type === "" ? {} : { type }) };
  },
  disconnect: (payload) => nameOf(documentOf(payload)),
  // A member that is no array is skipped (device-api 2.9).
  telemetry: (payload) => parts(payload, ({ type }) => type === "array", telemetryOf),
  attributes: (payload) => parts(payload, () => true, plainObject("attributes are")),
  claims: (payload) => parts(payload, () => true, plainObject("a claim is")),
  attributesRequest(payload) {
    const members = documentOf(payload);
    const client = members.get("client");
    if (client?.type !== "boolean") throw wrongShape("`client` is true or false");
    return { id: idOf(members), name: nameOf(members), client: client.value, keys: keysOf(members) };
  },
  rpcReply(payload) {
    const members = documentOf(payload);
    const data = members.get("data");
    if (data === undefined) throw wrongShape("an answer has `data`");
    return { name: nameOf(members), id: idOf(members), reply: Buffer.from(compact(data)) };
  },
  attributesReply(request, reply) {
    const members = [`"id":${request.id}`, `"device":${JSON.stringify(request.name)}`, ...found(request, reply)];
    return Buffer.from(`{${members.join(",")}}`);
  },
  attributesUpdate: (name, json) => Buffer.from(`{"device":${JSON.stringify(name)},"data":${json}}`),
  rpcRequest(name, { requestId, method, params }) {
    const data = `{"id":${requestId},"method":${JSON.stringify(method)},"params":${params}}`;
    return Buffer.from(`{"device":${JSON.stringify(name)},"data":${data}}`);
  },
  disconnected: (name, reason) => Buffer.from(JSON.stringify({ device: name, reason })),
};

/** Nothing at all counts as a document of the wrong shape, not as one that cannot be read. */
function documentOf(payload: Uint8Array): Members {
  const node = readDocument(payload);
  if (node.type !== "object") throw wrongShape(`a document is an object, not ${node.type}`);
  return node.members;
}

function nameOf(members: Members): string {
  return checkedName(scalarText(members.get("device")));
}

export function checkedName(name: string | undefined): string {
  if (name === undefined || name.trim() === "") throw wrongShape("`device` is the name of one");
  return name;
}

function idOf(members: Members): number {
  const id = Number(scalarText(members.get("id")) ?? Number.NaN);
  if (!Number.isInteger(id) || id !== (id | 0)) throw wrongShape("`id` is a 32-bit integer");
  return id;
}

function keysOf(members: Members): string[] {
  const single = scalarText(members.get("key"));
  if (single !== undefined) return [single];
  const keys = members.get("keys");
  if (keys?.type !== "array") throw wrongShape("`key` is a name, or `keys` a list of them");
  return keys.items.map((item) => {
    const key = scalarText(item);
    if (key === undefined) throw wrongShape("`keys` are names");
    return key;
  });
}

function parts(
  payload: Uint8Array,
  usable: (node: Node) => boolean,
  read: (node: Node) => Omit<ChildPart, "name">,
): ChildPart[] {
  const found: ChildPart[] = [];
  const members = documentOf(payload);
  for (const [name, node] of members) {
    if (!usable(node)) continue;
    checkedName(name);
    try {
      found.push({ name, ...read(node) });
    } catch (error) {
      found.push({ name, document: none, fault: asFault(error) });
    }
  }
  // An empty document says nothing about anybody, and harms nobody.
  if (found.length === 0 && members.size > 0) throw wrongShape("no member is a list of values");
  return found;
}

const plainObject =
  (what: string) =>
  (node: Node): { readonly document: Uint8Array } => {
    if (node.type !== "object") throw malformed(`${what} an object, not ${node.type}`);
    return { document: Buffer.from(compact(node)) };
  };

/** The array as the child would have sent it, without what is for the platform only. */
function telemetryOf(node: Node): { readonly document: Uint8Array; readonly latencies: readonly Latency[] } {
  const latencies: Latency[] = [];
  const items = (node.type === "array" ? node.items : []).map((item) => {
    if (item.type !== "object") throw malformed(`every element of a telemetry array is an object, not ${item.type}`);
    const metadata = item.members.get("metadata");
    if (metadata === undefined || !item.members.has("ts") || !item.members.has("values")) return compact(item);
    latencies.push(latencyOf(metadata));
    const members = new Map(item.members);
    members.delete("metadata");
    return compact({ type: "object", members });
  });
  return { document: Buffer.from(`[${items.join(",")}]`), latencies };
}

function latencyOf(node: Node): Latency {
  if (node.type !== "object") throw malformed(`\`metadata\` is an object, not ${node.type}`);
  const time = (name: string) => {
    const ms = Number(scalarText(node.members.get(name)) ?? Number.NaN);
    if (!Number.isFinite(ms)) throw malformed(`\`metadata\` has \`${name}\`, ms since the epoch`);
    return ms;
  };
  const connector = scalarText(node.members.get("connector"));
  if (connector === undefined) throw malformed("`metadata` names its `connector`");
  return { connector, receivedTs: time("receivedTs"), publishedTs: time("publishedTs") };
}

/**
 * Each scope for itself: one attribute when at most one was asked for is `value`, else `values`; client first, so that of
 * two single ones the shared one is told (device-api 2.9, as recorded).
 */
function found({ keys }: ChildAttributesRequest, reply: AttributesReply): string[] {
  let value: string | undefined;
  const values: string[] = [];
  for (const json of [reply.client, reply.shared]) {
    if (json === undefined) continue;
    const entries = Object.entries(readTypedJson(json) as Readonly<Record<string, Plain>>);
    const [only] = entries;
    if (only !== undefined && entries.length === 1 && keys.length < 2) value = writeTypedJson(only[1]);
    else values.push(...entries.map(([key, one]) => `${JSON.stringify(key)}:${writeTypedJson(one)}`));
  }
  return [
    ...(value === undefined ? [] : [`"value":${value}`]),
    ...(values.length === 0 ? [] : [`"values":{${values.join(",")}}`]),
  ];
}
