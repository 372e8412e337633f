import type { X509Certificate } from "node:crypto";
import type { DeviceIdentity, DeviceProof, Downlinks, Session, Sessions } from "@heddle/plugin-sdk";
import { asFault } from "@heddle/plugin-sdk";
import type { IConnectPacket } from "mqtt-packet";
import { certificateHash, isValidAt } from "./peer-certificate.ts";
import { reason, returnCode } from "./reasons.ts";

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
  readonly peer: string;
  readonly now: number;
}

/** From a CONNECT to an open session, or to the refusal that the device is told. Never rejects. */
export async function admit(
  arrival: Arrival,
  { sessions, down, signal }: { readonly sessions: Sessions; readonly down: Downlinks; readonly signal: AbortSignal },
): Promise<Session | Refusal> {
  const who = await identify(arrival, sessions, signal);
  if ("why" in who) return who;
  const { transportType, transport } = who;
  if (transportType !== "DEFAULT" && transportType !== "MQTT") {
    return arrival.certificate === undefined ? wrongTransport : wrongTransportOfCertificate;
  }
  // This transport does not speak Sparkplug: without it such a device would only be misunderstood.
  if (transportType === "MQTT" && transport["sparkplug"] === true) return noSession;
  try {
    return await sessions.open(who, { transport: "mqtt", peer: arrival.peer }, down, { signal });
  } catch (error) {
    return { ...(asFault(error).kind === "exhausted" ? tooManyConnects : noSession), cause: error };
  }
}

async function identify(arrival: Arrival, sessions: Sessions, signal: AbortSignal): Promise<DeviceIdentity | Refusal> {
  const { packet, certificate, now } = arrival;
  if (certificate !== undefined && !isValidAt(certificate, now)) return badCertificate;
  const proof =
    certificate === undefined ? proofOf(packet) : ({ kind: "x509", hash: certificateHash(certificate) } as const);
  if ("why" in proof) return proof;
  try {
    return (
      (await sessions.authenticate(proof, { signal })) ?? (certificate === undefined ? unknown(packet) : badCertificate)
    );
  } catch (cause) {
    return { ...noService, cause };
  }
}

/** A user name may be a token too: the steps of device-api 1.3 decide, which need all that was presented. */
function proofOf({ clientId, username, password }: IConnectPacket): DeviceProof | Refusal {
  // These names mean provisioning and never a device (device-api 6.2); this transport does not offer it.
  if (username === "provision" || clientId === "provision") return badCredentials;
  if (username === undefined && password === undefined && clientId.trim() === "") return nothingShown;
  return { kind: "basic", clientId, userName: username ?? "", password: password?.toString("utf8") };
}

function unknown({ username, password }: IConnectPacket): Refusal {
  return username === undefined && password === undefined ? unknownClientId : badCredentials;
}
