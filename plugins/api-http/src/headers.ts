import type { IncomingHttpHeaders } from "node:http";

/** On every answer (rest-semantics 1.10). */
export const securityHeaders: Readonly<Record<string, string>> = {
  "cache-control": "no-cache, no-store, max-age=0, must-revalidate",
  pragma: "no-cache",
  expires: "0",
  "x-content-type-options": "nosniff",
  "referrer-policy": "strict-origin-when-cross-origin",
  "cross-origin-opener-policy": "same-origin",
};

/** How long browsers may remember a preflight answer, in seconds. */
const preflightSeconds = "1800";

/** For requests from pages of another origin. */
export function corsHeaders({ origin }: IncomingHttpHeaders): Record<string, string> {
  return origin === undefined
    ? {}
    : { "access-control-allow-origin": origin, "access-control-allow-credentials": "true", vary: "Origin" };
}

export function preflightHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const method = headers["access-control-request-method"];
  const wanted = headers["access-control-request-headers"];
  return {
    ...corsHeaders(headers),
    ...(method === undefined ? {} : { "access-control-allow-methods": method }),
    ...(wanted === undefined ? {} : { "access-control-allow-headers": wanted }),
    "access-control-max-age": preflightSeconds,
  };
}
