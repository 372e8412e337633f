import type { DeviceCredentialsDocument, DeviceProfileDocument } from "@heddle/plugin-sdk";

/** Where devices reach this installation; a port of 0 is not offered. */
export interface Connectivity {
  /** Absent: the host that the request names. */
  readonly host?: string | undefined;
  readonly mqtt: number;
  readonly mqtts: number;
  readonly coap: number;
  readonly coaps: number;
}

export interface Wiring {
  readonly credentials: DeviceCredentialsDocument;
  readonly profile: DeviceProfileDocument | undefined;
  readonly connectivity: Connectivity;
  /** As the client sees the API, such as `http://localhost:8080`. */
  readonly base: string;
}

type Commands = Record<string, Record<string, unknown>>;

const telemetry = "{temperature:25}";
/** For who has nothing but Docker. */
const inDocker = "docker run --rm -it --network host eclipse-mosquitto";

/** Commands that send a device's first value, by protocol: those that its profile lets in (rest-semantics 15.12). */
export function connectCommands(wiring: Wiring): Commands {
  const { base, connectivity, credentials, profile } = wiring;
  const { protocol, hostname, port } = new URL(base);
  const host = connectivity.host ?? hostname;
  const transport = profile?.transportType ?? "DEFAULT";
  const commands: Commands = {};
  if (transport === "DEFAULT") {
    const scheme = protocol === "https:" ? "https" : "http";
    const command = httpCommand(credentials, `${scheme}://${host}${port === "" ? "" : `:${port}`}`);
    if (command !== undefined) commands["http"] = { [scheme]: command };
  }
  if (transport === "DEFAULT" || transport === "MQTT") Object.assign(commands, { mqtt: mqttCommands(wiring, host) });
  if (transport === "DEFAULT" || transport === "COAP") Object.assign(commands, { coap: coapCommands(wiring, host) });
  return Object.fromEntries(Object.entries(commands).filter(([, members]) => Object.keys(members).length > 0));
}

function httpCommand({ credentialsType, credentialsId }: DeviceCredentialsDocument, at: string): string | undefined {
  if (credentialsType !== "ACCESS_TOKEN") return undefined;
  const url = quoted(`${at}/api/v1/${encodeURIComponent(credentialsId)}/telemetry`);
  return `curl -v -X POST ${url} --header Content-Type:application/json --data "${telemetry}"`;
}

function mqttCommands({ credentials, profile, connectivity }: Wiring, host: string): Record<string, unknown> {
  const proof = mqttProof(credentials);
  if (proof === undefined) return {};
  const transport = (profile?.profileData["transportConfiguration"] ?? {}) as Record<string, unknown>;
  const topic = profile?.transportType === "MQTT" ? transport["deviceTelemetryTopic"] : undefined;
  const about = `-t ${quoted(typeof topic === "string" ? topic : "v1/devices/me/telemetry")} ${proof} -m "${telemetry}"`;
  const _certificate = credentials.credentialsType === "X509_CERTIFICATE";
  const command = (port: number, authority = "") => `mosquitto_pub -d -q 1 ${authority}-h ${host} -p ${port} ${about}`;
  const { mqtt, mqtts } = connectivity;
  const offered = {
    ...(mqtt === 0 || credentials.credentialsType === "X509_CERTIFICATE" ? {} : { mqtt: command(mqtt) }),
    ...(mqtts === 0 ? {} : { mqtts: command(mqtts, "--cafile ca.pem ") }),
  };
  const docker = Object.fromEntries(Object.entries(offered).map(([name, text]) => [name, `${inDocker} ${text}`]));
  return Object.keys(offered).length === 0 ? {} : { ...offered, docker };
}

function mqttProof({
  credentialsType,
  credentialsId,
  credentialsValue,
}: DeviceCredentialsDocument): string | undefined {
  switch (credentialsType) {
    case "ACCESS_TOKEN":
      return `-u ${quoted(credentialsId)}`;
    case "MQTT_BASIC": {
      const { clientId, userName, password } = JSON.parse(credentialsValue ?? "{}") as Record<string, string | null>;
      const options = { "-i": clientId, "-u": userName, "-P": password };
      return Object.entries(options)
        .flatMap(([option, value]) => (value ? [`${option} ${quoted(value)}`] : []))
        .join(" ");
    }
    case "X509_CERTIFICATE":
      return "--cert cert.pem --key key.pem";
    default:
      return undefined;
  }
}

function coapCommands({ credentials, connectivity }: Wiring, host: string): Record<string, unknown> {
  const { credentialsType, credentialsId } = credentials;
  const command = (scheme: string, port: number, proof = "") => {
    const path = proof === "" ? `${encodeURIComponent(credentialsId)}/` : "";
    const url = quoted(`${scheme}://${host}:${port}/api/v1/${path}telemetry`);
    return `coap-client -v 6 -m POST ${proof}-t "application/json" -e "${telemetry}" ${url}`;
  };
  const { coap, coaps } = connectivity;
  if (credentialsType === "X509_CERTIFICATE") {
    return coaps === 0 ? {} : { coaps: command("coaps", coaps, "-c cert.pem -j key.pem ") };
  }
  if (credentialsType !== "ACCESS_TOKEN") return {};
  return {
    ...(coap === 0 ? {} : { coap: command("coap", coap) }),
    ...(coaps === 0 ? {} : { coaps: command("coaps", coaps) }),
  };
}

/** Credentials are users' texts, and end up in somebody's shell. */
function quoted(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
