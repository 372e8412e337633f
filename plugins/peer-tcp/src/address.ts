import { networkInterfaces } from "node:os";
import { fault } from "./faults.ts";

/** Where a peer listens: `host:port`, `[v6]:port` or `unix:/path`. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

export function parseAddress(address: string): Endpoint {
  if (address.startsWith("unix:/")) return { path: address.slice("unix:".length) };
  const parts = /^(?:\[([0-9a-fA-F:.%]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(address);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw fault("peer.unreachable", `"${address}" is no address of a peer: host:port or unix:/path`);
  }
  return { host, port };
}

export function addressOf(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export const isLoopback = (host: string) => host === "localhost" || host === "::1" || /^127\./.test(host);

/** Its address when it listens on one; else the first one that other machines can see, which needs no name service. */
export function advertisedHost(bound: string): string {
  if (bound !== "0.0.0.0" && bound !== "::") return bound;
  const outer = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address));
  return (outer.find(({ family }) => family === "IPv4") ?? outer[0])?.address ?? "127.0.0.1";
}
