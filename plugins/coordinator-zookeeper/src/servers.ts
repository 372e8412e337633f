import { lookup } from "node:dns/promises";

export interface Server {
  readonly host: string;
  readonly port: number;
}

/** A host name, an IPv4 address or an IPv6 address in brackets, with or without a port. */
const item = String.raw`(\[[0-9a-fA-F:.]+\]|[^\s,:/\[\]]+)(:\d{1,5})?`;
export const serversPattern = `^${item}(,${item})*$`;

/** From `host:port,host:port`; the text has passed `serversPattern`. */
export function parseServers(text: string): readonly Server[] {
  return text.split(",").map((one) => {
    const [, host = one, port = ":2181"] = new RegExp(`^${item}$`).exec(one) ?? [];
    return { host: host.replace(/^\[|\]$/g, ""), port: Number(port.slice(1)) };
  });
}

/**
 * `address:port,…` in numbers, those of one server together, in the order of the servers. Fails when no name resolves;
 * some that do not are left out.
 */
export async function addressesOf(servers: readonly Server[]): Promise<string> {
  const found = await Promise.allSettled(
    servers.map(async ({ host, port }) => {
      const addresses = await lookup(host, { all: true });
      return addresses.map(({ address }) => `${address}:${port}`);
    }),
  );
  const addresses = found.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  if (addresses.length > 0) return addresses.join(",");
  throw (found[0] as PromiseRejectedResult).reason;
}
