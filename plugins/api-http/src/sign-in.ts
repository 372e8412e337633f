import type { IncomingHttpHeaders } from "node:http";
import { type CallOptions, Fault, type Identity, type Principal } from "@heddle/plugin-sdk";

const bearer = "Bearer ";
const apiKey = "ApiKey ";

/** Who sends the request (rest-semantics 2.1–2.3): `X-Authorization` wins over `Authorization`. */
export function signedIn(
  headers: IncomingHttpHeaders,
  { identity }: { readonly identity: Identity },
  call: CallOptions,
): Promise<Principal> {
  const own = headers["x-authorization"];
  const value = (Array.isArray(own) ? own[0] : own) ?? headers.authorization ?? "";
  if (value.startsWith(bearer) && value.length > bearer.length)
    return identity.authenticate(value.slice(bearer.length), call);
  if (value.startsWith(apiKey)) return identity.authenticateApiKey(value.slice(apiKey.length).trim(), call);
  throw new Fault("denied", "identity.anonymous", "Authentication failed");
}
