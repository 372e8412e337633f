import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { parseAddress } from "./address.ts";
import { greet } from "./handshake.ts";
import type { TlsMaterial } from "./tls-material.ts";

export interface DialOptions {
  /** Our name, and the key of the proof. */
  readonly name: string;
  readonly key: string;
  readonly tls: TlsMaterial | undefined;
  /** Gives up, with its reason. */
  readonly signal: AbortSignal;
}

/** A socket to a peer that has proved itself and has let us in. Rejects with a `Refusal` or what the system said. */
export async function dial(address: string, { name, key, tls, signal }: DialOptions): Promise<Socket> {
  signal.throwIfAborted();
  const socket = open(address, tls);
  let failure: unknown;
  socket.on("error", (error) => {
    failure ??= error;
  });
  const stop = () => {
    failure ??= signal.reason;
    socket.destroy();
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    await greet(socket, { name, key });
    return socket;
  } catch (error) {
    socket.destroy();
    throw failure ?? error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function open(address: string, tls: TlsMaterial | undefined): Socket {
  const endpoint = parseAddress(address);
  if ("path" in endpoint) return connect(endpoint);
  const options = { ...endpoint, noDelay: true, keepAlive: true };
  if (tls === undefined) return connect(options);
  // The CA signs members and nobody else, so its signature is the proof; addresses of nodes come and go.
  return connectTls({ ...options, ...tls, rejectUnauthorized: true, checkServerIdentity: () => undefined });
}
