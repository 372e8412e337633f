import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { fault, reasonOf } from "./faults.ts";
import type { Settings } from "./settings.ts";

/** What both sides of a connection are made with; all PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly minVersion: "TLSv1.3";
}

/** Certificate, key and CA, read and checked once. Fault `peer.tls`. */
export async function tlsMaterialOf({ cert, key, ca }: NonNullable<Settings["tls"]>): Promise<TlsMaterial> {
  const [chain, secret, authority] = await Promise.all([pem("cert", cert), pem("key", key.reveal()), pem("ca", ca)]);
  const material = { cert: chain, key: secret, ca: authority, minVersion: "TLSv1.3" } as const;
  try {
    createSecureContext(material);
    return material;
  } catch (cause) {
    throw fault("peer.tls", `tls.cert, tls.key and tls.ca cannot be used together: ${reasonOf(cause)}`);
  }
}

async function pem(field: string, given: string): Promise<string> {
  if (given.includes("-----BEGIN ")) return given;
  try {
    return await readFile(given, "utf8");
  } catch (error) {
    // The text may be a key that lost its first line, so it is not repeated.
    const { code } = error as NodeJS.ErrnoException;
    throw fault("peer.tls", `tls.${field} is neither PEM nor a file that can be read (${code})`);
  }
}
