import type { Request } from "./request.ts";
import type { Response } from "./response.ts";

export type Feature = "telemetry" | "attributes" | "rpc" | "package";

export interface Route {
  readonly feature: Feature;
  readonly token: string;
  /** Of the call that is answered. */
  readonly id: number | undefined;
}

const features: ReadonlySet<string> = new Set(["telemetry", "attributes", "rpc"]);
const listing: Response = {
  code: "2.05",
  payload: Buffer.from("</.well-known/core>;ct=40,</api/v1>,</fw>,</sw>"),
  format: 40,
};
const notFound: Response = { code: "4.04" };
const badRequest: Response = { code: "4.00" };
const unauthorized: Response = { code: "4.01" };
const notAllowed: Response = { code: "4.05" };

/** The resource of a request (device-api 4.1), or the response where the request as such decides (4.2). */
export function routeOf({ path, method }: Request): Route | Response {
  const [root, version, ...rest] = path;
  if (root === "fw" || root === "sw") return packageOf(method, path);
  if (root === ".well-known" && version === "core" && path.length === 2) {
    return method === "GET" ? listing : notAllowed;
  }
  if (root !== "api") return notFound;
  if (version === undefined) return notAllowed;
  if (version !== "v1") return notFound;
  return method === "GET" || method === "POST" ? featureOf(method, rest) : notAllowed;
}

function packageOf(method: string, [, token, ...more]: readonly string[]): Route | Response {
  if (method !== "GET") return notAllowed;
  return token === undefined || more.length > 0 ? unauthorized : { feature: "package", token, id: undefined };
}

/** Feature names are case-insensitive. */
function featureOf(method: string, [token, name, id]: readonly string[]): Route | Response {
  const feature = name?.toLowerCase() ?? "";
  if (token === undefined || !features.has(feature)) {
    // Without the token's segment a client certificate would have to say who it is.
    return features.has(token?.toLowerCase() ?? "") ? unauthorized : badRequest;
  }
  if (method === "GET" && feature === "telemetry") return badRequest;
  return {
    feature: feature as Feature,
    token,
    id: id !== undefined && /^-?\d{1,10}$/.test(id) ? Number(id) : undefined,
  };
}
