import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { generate } from "coap-packet";

/** A socket of one device, to the server and from it alone. */
export async function coapSocket(port: number, take: (bytes: Buffer) => void): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 18 });
  socket.on("message", take);
  socket.on("error", () => {}); // What was sent is not answered then, and sent again.
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

export function emptyAck(messageId: number): Buffer {
  return generate({ ack: true, code: "0.00", messageId });
}

export const pathOptions = (path: string) =>
  path.split("/").map((part) => ({ name: "Uri-Path" as const, value: Buffer.from(part) }));

/** The type of a message (RFC 7252 section 3). */
export const typeOf = (bytes: Buffer): number => ((bytes[0] ?? 0) >> 4) & 3;
export const confirmable = 0;
export const isEmpty = (bytes: Buffer): boolean => bytes[1] === 0;
export const messageIdOf = (bytes: Buffer): number => bytes.readUInt16BE(2);

/** RFC 7252 section 4.8. */
export const ackTimeoutMs = 2_000;
export const ackRandomFactor = 1.5;
export const maxRetransmit = 4;
