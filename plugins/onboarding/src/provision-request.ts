import { membersOf, type Node, readDocument, scalarText } from "@heddle/payload-codec";
import { Fault, type ProvisionRequest } from "@heddle/plugin-sdk";

const types = ["ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE", "LWM2M_CREDENTIALS"] as const;
/** Longest text of a request; a certificate is the longest there is. */
const longest = 64 * 1024;

/** A request in JSON (device-api 6.1). Members that are null count as absent: an official SDK sends them. */
export function readProvisionRequest(payload: Uint8Array): ProvisionRequest {
  const members = documentOf(payload);
  const text = (name: string) => {
    const node = members.get(name);
    if (node === undefined || node.type === "null") return undefined;
    const found = scalarText(node);
    if (found === undefined) throw badRequest(`\`${name}\` is a text, not ${node.type}`);
    if (found.length > longest) throw badRequest(`\`${name}\` has ${found.length} characters, the limit is ${longest}`);
    return found;
  };
  const required = (name: string) => {
    const found = text(name);
    if (found === undefined) throw badRequest(`\`${name}\` is missing`);
    return found;
  };
  const optional = Object.fromEntries(
    ["deviceName", "token", "clientId", "username", "password", "hash"].flatMap((name) => {
      const found = text(name);
      return found === undefined ? [] : [[name, found]];
    }),
  );
  return {
    ...optional,
    provisionDeviceKey: required("provisionDeviceKey"),
    provisionDeviceSecret: required("provisionDeviceSecret"),
    ...typeOf(text("credentialsType")),
    ...gatewayOf(members.get("gateway")),
  };
}

function documentOf(payload: Uint8Array): ReadonlyMap<string, Node> {
  try {
    return membersOf(readDocument(payload), "a provisioning request");
  } catch (cause) {
    throw new Fault("invalid", "onboarding.json", "a provisioning request is no JSON object", { cause });
  }
}

function typeOf(text: string | undefined): Pick<ProvisionRequest, "credentialsType"> {
  if (text === undefined) return {};
  const credentialsType = types.find((type) => type === text);
  if (credentialsType === undefined) throw badRequest(`\`credentialsType\` is one of ${types.join(", ")}`);
  return { credentialsType };
}

function gatewayOf(node: Node | undefined): Pick<ProvisionRequest, "gateway"> {
  if (node === undefined || node.type === "null") return {};
  if (node.type !== "boolean") throw badRequest("`gateway` is true or false");
  return { gateway: node.value };
}

/** Never shows what was sent: it may hold secrets. */
function badRequest(what: string): Fault {
  return new Fault("invalid", "onboarding.request", `provisioning request: ${what}`);
}
