import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

export interface FloodOptions {
  readonly port: number;
  readonly token: string;
  readonly seconds: number;
  /** Confirmable requests a second, over all sockets. */
  readonly rate: number;
  readonly sockets: number;
}

export interface FloodResult {
  readonly sent: number;
  readonly answered: number;
  /** Answers other than 2.01. */
  readonly refused: number;
}

const burstMs = 5;

/** Sends at its own pace, whatever comes back; every request has a message id and token of its own. */
export async function flood({ port, token, seconds, rate, sockets }: FloodOptions): Promise<FloodResult> {
  const result = { sent: 0, answered: 0, refused: 0 };
  const open = await Promise.all(Array.from({ length: sockets }, () => connect(port, result)));
  const request = template(token);
  const began = performance.now();
  while (performance.now() - began < seconds * 1_000) {
    const due = ((performance.now() - began) / 1_000) * rate;
    for (; result.sent < due; result.sent++) {
      const bytes = Buffer.from(request);
      const round = Math.floor(result.sent / sockets);
      bytes.writeUInt16BE(round & 0xffff, 2);
      bytes.writeUInt32BE(round, 4);
      open[result.sent % sockets]?.send(bytes);
    }
    await sleep(burstMs);
  }
  await sleep(300);
  for (const socket of open) socket.close();
  return result;
}

async function connect(port: number, result: { answered: number; refused: number }): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.on("message", (bytes) => {
    result.answered++;
    if (bytes[1] !== 0x41) result.refused++;
  });
  return socket;
}

function template(token: string): Buffer {
  const head = Buffer.from([0x44, 0x02, 0, 0, 0, 0, 0, 0]);
  const path = ["api", "v1", token, "telemetry"].map((part, i) =>
    Buffer.concat([Buffer.from([(i === 0 ? 0xb0 : 0) | part.length]), Buffer.from(part)]),
  );
  return Buffer.concat([head, ...path, Buffer.from([0xff]), Buffer.from('{"temperature":21.5}')]);
}
