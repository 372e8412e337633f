import { createHash } from "node:crypto";
import {
  type CallOptions,
  type Collection,
  isFault,
  putOne,
  type RuleChainDocument,
  type RuleNodeDocument,
  type World,
} from "@heddle/plugin-sdk";

const prefix = "org.thingsboard.rule.engine.";
const everyMessage = { type: "ON_EVERY_MESSAGE" };
const logScript =
  "return '\\nIncoming message:\\n' + JSON.stringify(msg) + '\\nIncoming metadata:\\n' + JSON.stringify(metadata);";

interface Template {
  readonly name: string;
  readonly type: string;
  readonly version: number;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly at: readonly [x: number, y: number];
}

/** Rule-engine 8.1. */
const nodes: readonly Template[] = [
  {
    name: "Save Timeseries",
    type: "telemetry.TbMsgTimeseriesNode",
    version: 1,
    configuration: { defaultTTL: 0, useServerTs: false, processingSettings: everyMessage },
    at: [824, 156],
  },
  {
    name: "Save Client Attributes",
    type: "telemetry.TbMsgAttributesNode",
    version: 3,
    configuration: {
      processingSettings: everyMessage,
      scope: "CLIENT_SCOPE",
      notifyDevice: false,
      sendAttributesUpdatedNotification: false,
      updateAttributesOnlyOnValueChange: true,
    },
    at: [825, 52],
  },
  {
    name: "Message Type Switch",
    type: "filter.TbMsgTypeSwitchNode",
    version: 0,
    configuration: { version: 0 },
    at: [347, 149],
  },
  {
    name: "Log RPC from Device",
    type: "action.TbLogNode",
    version: 0,
    configuration: { scriptLang: "TBEL", jsScript: logScript, tbelScript: logScript },
    at: [825, 266],
  },
  {
    name: "Log Other",
    type: "action.TbLogNode",
    version: 0,
    configuration: { scriptLang: "TBEL", jsScript: logScript, tbelScript: logScript },
    at: [825, 379],
  },
  {
    name: "RPC Call Request",
    type: "rpc.TbSendRPCRequestNode",
    version: 0,
    configuration: { timeoutInSeconds: 60 },
    at: [825, 468],
  },
];
const first = 2;
const links: readonly (readonly [to: number, relation: string])[] = [
  [0, "Post telemetry"],
  [1, "Post attributes"],
  [3, "RPC Request from Device"],
  [4, "Other"],
  [5, "RPC Request to Device"],
];

/** The root chain that every new tenant begins with. */
/**
 * The id of the tenant's root chain, making the chain where there is none. Its id follows from the tenant's, so that two
 * nodes that both find it missing make one chain.
 */
export async function ensureRootChain(
  parts: { readonly chains: Collection<RuleChainDocument>; readonly world: World },
  tenantId: string,
  call: CallOptions,
): Promise<{ readonly id: string; readonly made: boolean }> {
  const { chains, world } = parts;
  const { items } = await chains.find({ where: { tenantId, root: true }, limit: 1 }, call);
  const existing = items[0]?.value.id;
  if (existing !== undefined) return { id: existing, made: false };
  const value = rootChain(tenantId, world);
  try {
    await putOne(chains, { value, expect: "absent" }, call);
    return { id: value.id, made: true };
  } catch (error) {
    if (isFault(error) && error.code === "store.exists") return { id: value.id, made: false };
    throw error;
  }
}

/** A UUID, version 8 (RFC 9562), that only this tenant's first root chain has. */
function rootChainId(tenantId: string): string {
  const bytes = createHash("sha256").update(`root-rule-chain/${tenantId}`).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function rootChain(tenantId: string, world: World): RuleChainDocument {
  const createdTime = world.now();
  const documents = nodes.map(
    ({ name, type, version, configuration, at: [layoutX, layoutY] }): RuleNodeDocument => ({
      id: world.uuid(),
      createdTime,
      type: prefix + type,
      name,
      configurationVersion: version,
      configuration,
      singletonMode: false,
      queueName: null,
      additionalInfo: { layoutX, layoutY },
    }),
  );
  const id = (index: number) => (documents[index] as RuleNodeDocument).id;
  return {
    id: rootChainId(tenantId),
    tenantId,
    createdTime,
    name: "Root Rule Chain",
    type: "CORE",
    root: true,
    debugMode: false,
    firstRuleNodeId: id(first),
    externalId: null,
    configuration: null,
    additionalInfo: null,
    nodes: documents,
    connections: links.map(([to, type]) => ({ from: id(first), to: id(to), type })),
  };
}
