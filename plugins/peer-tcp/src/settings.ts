import { Bytes, Duration, Port, type Secret, SecretString, type Static, Type } from "@heddle/plugin-sdk";
import { isLoopback } from "./address.ts";
import { fault } from "./faults.ts";

export const settings = Type.Object(
  {
    host: Type.Optional(
      Type.String({
        minLength: 1,
        description: "Address to listen on; default 0.0.0.0 where `tls` or `secret` protects it, else 127.0.0.1.",
      }),
    ),
    port: Port({ default: 7400 }),
    advertise: Type.Optional(
      Type.String({
        minLength: 1,
        description: "Host under which others reach this node; by default `host`, or its first outer address.",
      }),
    ),
    socketPath: Type.Optional(
      Type.String({ pattern: "^/", description: "A Unix socket instead of a port, for nodes of one machine." }),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          cert: Type.String({ description: "This node's certificate chain: PEM, or the file with it." }),
          key: SecretString({ description: "Its private key: PEM, or the file with it." }),
          ca: Type.String({ description: "The CA that signs members and nobody else: PEM, or the file with it." }),
        },
        { additionalProperties: false, description: "Mutual TLS 1.3: whoever has a certificate of this CA is a peer." },
      ),
    ),
    secret: Type.Optional(
      SecretString({
        pattern: "^(.{16,})?$",
        description: "The same on every node, 16 characters or more; proves a peer without being sent. Empty is none.",
      }),
    ),
    pendingBytes: Bytes({ default: "16MB", minimum: 1, description: "Under way to one peer; further sends wait." }),
    waitingBytes: Bytes({ default: "64MB", minimum: 1, description: "Held by sends that wait for one peer." }),
    frameBytes: Bytes({ default: "8MB", minimum: 1, maximum: 1_073_741_824, description: "Largest frame." }),
    heartbeat: Duration({ default: "1s", minimum: 10, description: "A peer is given up after five silent ones." }),
    connectTimeout: Duration({ default: "5s", minimum: 10, description: "From the dial to the proven peer." }),
    handshakes: Type.Integer({
      default: 64,
      minimum: 1,
      description: "Connections that have proved nothing yet; the oldest makes room for one more.",
    }),
  },
  { additionalProperties: false },
);
export type Settings = Static<typeof settings>;

/** Where to listen. Faults `peer.config`, `peer.unprotected`. */
export function bindingOf({
  host,
  port,
  socketPath,
  tls,
  secret,
}: Settings): { host: string; port: number } | { path: string } {
  if (socketPath !== undefined) {
    if (tls !== undefined || host !== undefined) {
      throw fault("peer.config", "`socketPath` replaces `host`, and its file mode protects it: it goes without `tls`");
    }
    return { path: socketPath };
  }
  if (tls !== undefined || keyOf(secret) !== "") return { host: host ?? "0.0.0.0", port };
  if (host !== undefined && !isLoopback(host)) {
    throw fault(
      "peer.unprotected",
      `peers would be taken from anywhere on ${host}:${port}: set \`tls\`, \`secret\`, or host 127.0.0.1`,
    );
  }
  return { host: host ?? "127.0.0.1", port };
}

export const keyOf = (secret: Secret | undefined) => secret?.reveal() ?? "";
