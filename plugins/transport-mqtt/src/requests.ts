import { type AttributesReply, type AttributesWanted, Fault } from "@heddle/plugin-sdk";

/** The members of a request's payload. Fault `mqtt.payload` when it is no JSON object. */
export function requestMembers(payload: Uint8Array): Readonly<Record<string, unknown>> {
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8"));
  } catch (cause) {
    throw new Fault("invalid", "mqtt.payload", `a request of ${payload.length} bytes is no JSON`, { cause });
  }
  if (typeof read === "object" && read !== null && !Array.isArray(read)) return read as Record<string, unknown>;
  throw new Fault("invalid", "mqtt.payload", "a request is a JSON object");
}

/** Which attributes a device asks for (device-api 2.5): names of a scope, comma-separated and not trimmed; without both, all. */
export function wantedAttributes(members: Readonly<Record<string, unknown>>): AttributesWanted {
  const { clientKeys, sharedKeys } = members;
  if (clientKeys == null && sharedKeys == null) return { client: "all", shared: "all" };
  return { client: namesOf(clientKeys), shared: namesOf(sharedKeys) };
}

function namesOf(keys: unknown): readonly string[] | "none" {
  if (keys == null) return "none";
  if (typeof keys === "object") throw new Fault("invalid", "mqtt.payload", "attribute names are one text");
  const names = String(keys)
    .split(",")
    .filter((name) => name !== "");
  return names.length === 0 ? "none" : names;
}

/** A scope is a member only when something of it was found. */
export function attributesText({ client, shared }: AttributesReply): string {
  const members: string[] = [];
  if (client !== undefined) members.push(`"client":${client}`);
  if (shared !== undefined) members.push(`"shared":${shared}`);
  return `{${members.join(",")}}`;
}

const sessionLimitsMethod = Buffer.from("getSessionLimits");

/** True for the call that the transport answers itself (device-api 2.6). */
export function asksSessionLimits(payload: Buffer): boolean {
  if (!payload.includes(sessionLimitsMethod)) return false;
  try {
    return requestMembers(payload)["method"] === "getSessionLimits";
  } catch {
    // Not for us: whoever handles calls says what is wrong with it.
    return false;
  }
}

/** Rate limits that are not configured are null; a gateway gets those of its children too. */
export function sessionLimitsText(
  limits: { readonly payload: number; readonly inFlight: number },
  gateway: boolean,
): string {
  const unlimited = { messages: null, telemetryMessages: null, telemetryDataPoints: null };
  return JSON.stringify({
    maxPayloadSize: limits.payload,
    maxInflightMessages: limits.inFlight,
    rateLimits: unlimited,
    ...(gateway ? { gatewayRateLimits: unlimited } : {}),
  });
}
