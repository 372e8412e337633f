import type { X509Certificate } from "node:crypto";
import {
  type Application,
  applicationPrefix,
  asFault,
  type DeviceIdentity,
  type DeviceProof,
  type Downlinks,
  type MqttApplications,
  type Onboarding,
  type Session,
  type Sessions,
  type Stored,
} from "@heddle/plugin-sdk";
import type { IConnectPacket } from "mqtt-packet";
import { certificateHash, chainOf, isValidAt } from "./peer-certificate.ts";
import { reason, returnCode } from "./reasons.ts";
import { deathOf, isSparkplug } from "./sparkplug/connect-rules.ts";

/** How a CONNECT is refused: the codes of device-api 1.7, of CONNACK before 5 and in 5, and of the DISCONNECT after it. */
export interface Refusal {
  /** A label of the metric. */
  readonly why: "credentials" | "certificate" | "transport" | "service" | "rate" | "session";
  readonly v3: number;
  readonly v5: number;
  readonly disconnect: number;
  /** What the platform said, for the log. */
  readonly cause?: unknown;
}

const refuse = (why: Refusal["why"], v3: number, v5: number, disconnect = v5): Refusal => ({ why, v3, v5, disconnect });

const { identifier, unavailable, notAuthorised } = returnCode;
const badCredentials = refuse("credentials", notAuthorised, reason.badCredentials);
const unknownClientId = refuse("credentials", identifier, reason.clientId);
const nothingShown = refuse("credentials", notAuthorised, reason.notAuthorised);
const badCertificate = refuse("certificate", notAuthorised, reason.notAuthorised);
const wrongTransport = refuse("transport", unavailable, reason.unavailable, reason.busy);
const wrongTransportOfCertificate = refuse("transport", unavailable, reason.unavailable, reason.implementation);
const noService = refuse("service", unavailable, reason.unavailable, reason.busy);
const tooManyConnects = refuse("rate", unavailable, reason.connectionRate, reason.rateTooHigh);
const noSession = refuse("session", unavailable, reason.unavailable, reason.implementation);

export interface Arrival {
  readonly packet: IConnectPacket;
  readonly certificate: X509Certificate | undefined;
  /** Address and port, for the log. */
  readonly peer: string;
  /** IP address. */
  readonly address: string;
  readonly now: number;
  readonly skipValidity: boolean;
}

interface Platform {
  readonly applications: MqttApplications | undefined;
  readonly sessions: Sessions;
  readonly onboarding: Onboarding;
  readonly down: Downlinks;
  readonly signal: AbortSignal;
}

/** These names mean provisioning and never a device (device-api 6.2). */
export function wantsProvisioning({ username, clientId }: IConnectPacket): boolean {
  return username === "provision" || clientId === "provision";
}

/** User names that may be an application's; they may be a device's as well. */
export function maybeApplication({ username }: IConnectPacket): boolean {
  return username?.startsWith(applicationPrefix) === true;
}

/** Whom the connection is handed over to; undefined when it is a device's, or nobody's. */
async function applicationOf(
  packet: IConnectPacket,
  { applications, signal }: Pick<Platform, "applications" | "signal">,
): Promise<Stored<Application> | undefined> {
  if (applications === undefined || !maybeApplication(packet)) return undefined;
  const { username = "", password } = packet;
  return applications.authenticate({ userName: username, password: password?.toString("utf8") ?? "" }, { signal });
}

/** From a CONNECT to an open session, an application, or the refusal that the device is told. Never rejects. */
export async function admit(
  arrival: Arrival,
  platform: Platform,
): Promise<Session | Refusal | { readonly application: Stored<Application> }> {
  const { sessions, down, signal } = platform;
  try {
    const application = await applicationOf(arrival.packet, platform);
    if (application !== undefined) return { application };
  } catch (cause) {
    return { ...noService, cause };
  }
  const who = await identify(arrival, platform);
  if ("why" in who) return who;
  const { transportType } = who;
  if (transportType !== "DEFAULT" && transportType !== "MQTT") {
    return arrival.certificate === undefined ? wrongTransport : wrongTransportOfCertificate;
  }
  if (isSparkplug(who) && deathOf(arrival.packet) === undefined) return noSession;
  try {
    return await sessions.open(who, { transport: "mqtt", peer: arrival.peer }, down, { signal });
  } catch (error) {
    return { ...(asFault(error).kind === "exhausted" ? tooManyConnects : noSession), cause: error };
  }
}

async function identify(arrival: Arrival, platform: Platform): Promise<DeviceIdentity | Refusal> {
  const { packet, certificate } = arrival;
  try {
    if (certificate !== undefined) return (await byCertificate(certificate, arrival, platform)) ?? badCertificate;
    const proof = proofOf(packet);
    if ("why" in proof) return proof;
    const call = { signal: platform.signal, from: { transport: "mqtt", address: arrival.address } };
    return (await platform.sessions.authenticate(proof, call)) ?? unknown(packet);
  } catch (cause) {
    return { ...noService, cause };
  }
}

/** The leaf decides; where nobody knows it, its chain may make it known (device-api 1.4, 1.6). */
async function byCertificate(
  certificate: X509Certificate,
  { now, skipValidity, address }: Arrival,
  { sessions, onboarding, signal }: Platform,
): Promise<DeviceIdentity | undefined> {
  if (!skipValidity && !isValidAt(certificate, now)) return undefined;
  const proof = { kind: "x509", hash: certificateHash(certificate) } as const;
  const known = await sessions.authenticate(proof, { signal });
  if (known !== undefined) return known;
  await onboarding.presentChain(chainOf(certificate), { signal });
  return sessions.authenticate(proof, { signal, from: { transport: "mqtt", address } });
}

/** A user name may be a token too: the steps of device-api 1.3 decide, which need all that was presented. */
function proofOf({ clientId, username, password }: IConnectPacket): DeviceProof | Refusal {
  if (username === undefined && password === undefined && clientId.trim() === "") return nothingShown;
  return { kind: "basic", clientId, userName: username ?? "", password: password?.toString("utf8") };
}

function unknown({ username, password }: IConnectPacket): Refusal {
  return username === undefined && password === undefined ? unknownClientId : badCredentials;
}
