import type { Request } from "./request.ts";
import type { Response } from "./response.ts";

export type Feature = "telemetry" | "attributes" | "rpc" | "claim" | "provision" | "firmware" | "software";

export interface Route {
  readonly feature: Feature;
  /** Undefined where the peer's certificate says who it is, and for provisioning. */
  readonly token: string | undefined;
  /** Of the call that is answered. */
  readonly id: number | undefined;
}

const features: ReadonlySet<string> = new Set(["telemetry", "attributes", "rpc", "claim"]);
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
export function routeOf({ path, method, from }: Request): Route | Response {
  const [root, version, ...rest] = path;
  if (root === "fw" || root === "sw") return packageOf(method, path);
  if (root === ".well-known" && version === "core" && path.length === 2) {
    return method === "GET" ? listing : notAllowed;
  }
  if (root !== "api") return notFound;
  if (version === undefined) return notAllowed;
  if (version !== "v1") return notFound;
  if (method !== "GET" && method !== "POST") return notAllowed;
  if (rest.length === 1 && rest[0]?.toLowerCase() === "provision") {
    return method === "POST" ? { feature: "provision", token: undefined, id: undefined } : badRequest;
  }
  return featureOf(method, rest, from.certificateHash !== undefined);
}

function packageOf(method: string, [root, token, ...more]: readonly string[]): Route | Response {
  if (method !== "GET") return notAllowed;
  if (token === undefined || more.length > 0) return unauthorized;
  return { feature: root === "fw" ? "firmware" : "software", token, id: undefined };
}

/** Feature names are case-insensitive; where a certificate says who it is there is no token before them. */
function featureOf(method: string, rest: readonly string[], certified: boolean): Route | Response {
  const first = rest[0]?.toLowerCase() ?? "";
  const bareForm = features.has(first) && (rest.length === 1 || !features.has(rest[1]?.toLowerCase() ?? ""));
  if (bareForm && !certified) return rest.length === 1 || first === "rpc" ? unauthorized : badRequest;
  const [token, name, id] = bareForm ? [undefined, ...rest] : rest;
  const feature = name?.toLowerCase() ?? "";
  if (!features.has(feature)) return badRequest;
  if (method === "GET" && (feature === "telemetry" || feature === "claim")) return badRequest;
  return {
    feature: feature as Feature,
    token,
    id: id !== undefined && /^-?\d{1,10}$/.test(id) ? Number(id) : undefined,
  };
}
