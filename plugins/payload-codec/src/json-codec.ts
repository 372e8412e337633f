import type { AttributesReply, AttributesWanted } from "@heddle/plugin-sdk";
import type { PayloadCodec } from "./codec.ts";
import { malformed, membersOf, readDocument, scalarText } from "./document.ts";
import type { Node } from "./lenient-json.ts";

const asItIs = (payload: Uint8Array) => payload;

/** JSON, which `Session` reads itself. */
export const jsonCodec: PayloadCodec = {
  encoding: "json",
  telemetry: asItIs,
  attributes: asItIs,
  clientRpc: asItIs,
  rpcReply: asItIs,
  claim: asItIs,
  attributesRequest(payload) {
    const members = membersOf(readDocument(payload), "an attribute request");
    return wantedAttributes((name) => namesText(members.get(name)));
  },
  attributesReply: (_requestId, reply) => Buffer.from(attributesText(reply)),
  attributesUpdate: (json) => Buffer.from(json),
  rpcRequest({ requestId, method, params }, withId) {
    const id = withId === undefined ? "" : `"id":${requestId},`;
    return Buffer.from(`{${id}"method":${JSON.stringify(method)},"params":${params}}`);
  },
  clientRpcReply: (_requestId, json) => Buffer.from(json),
};

/** Names of each scope, comma-separated and not trimmed; where neither is named, everything (device-api 2.5). */
export function wantedAttributes(textOf: (name: "clientKeys" | "sharedKeys") => string | undefined): AttributesWanted {
  const [client, shared] = [textOf("clientKeys"), textOf("sharedKeys")];
  if (client === undefined && shared === undefined) return { client: "all", shared: "all" };
  return { client: namesOf(client), shared: namesOf(shared) };
}

function namesOf(text: string | undefined): readonly string[] | "none" {
  const names = (text ?? "").split(",").filter((name) => name !== "");
  return names.length === 0 ? "none" : names;
}

function namesText(node: Node | undefined): string | undefined {
  if (node === undefined || node.type === "null") return undefined;
  const text = scalarText(node);
  if (text === undefined) throw malformed("attribute names are one text, separated by commas");
  return text;
}

/** A scope is a member only when something of it was found. */
function attributesText({ client, shared }: AttributesReply): string {
  const members: string[] = [];
  if (client !== undefined) members.push(`"client":${client}`);
  if (shared !== undefined) members.push(`"shared":${shared}`);
  return `{${members.join(",")}}`;
}
