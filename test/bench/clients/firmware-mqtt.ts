import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import { serve } from "./calls.ts";
import { connectPacket, Packets, pubackPacket, publishPacket, subscribePacket, types } from "./mqtt-wire.ts";

interface Downloads {
  readonly port: number;
  readonly devices: number;
  readonly chunkBytes: number;
  readonly totalBytes: number;
}

/** The package in chunks, the next one when the one before is there (device-api 2.8); its SHA-256. */
function download({ port, chunkBytes, totalBytes }: Downloads, index: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash("sha256");
    let received = 0;
    let chunk = 0;
    const socket: Socket = connect(port, "127.0.0.1", () => {
      socket.setNoDelay(true);
      socket.write(connectPacket(`DW${String(index).padStart(8, "0")}`));
    });
    const ask = () =>
      socket.write(publishPacket(`v2/fw/request/1/chunk/${chunk}`, String(chunkBytes), (chunk % 60_000) + 1));
    const take = (first: number, body: Buffer) => {
      const topicEnd = 2 + body.readUInt16BE(0);
      const payloadAt = first & 0x06 ? topicEnd + 2 : topicEnd;
      if (first & 0x06) socket.write(pubackPacket(body.readUInt16BE(topicEnd)));
      const topic = body.toString("latin1", 2, topicEnd);
      if (topic !== `v2/fw/response/1/chunk/${chunk}`) return reject(new Error(`${topic} instead of chunk ${chunk}`));
      hash.update(body.subarray(payloadAt));
      received += body.length - payloadAt;
      chunk++;
      if (received < totalBytes && body.length - payloadAt === chunkBytes) return void ask();
      resolve(hash.digest("hex"));
      socket.destroy();
    };
    const packets = new Packets((first, body) => {
      const type = first >> 4;
      if (type === types.connack) {
        if (body[1] === 0) socket.write(subscribePacket("v2/fw/response/+/chunk/+", 1));
        else reject(new Error(`refused with ${body[1]}`));
      } else if (type === types.suback) ask();
      else if (type === types.publish) take(first, body);
    });
    socket.on("data", (bytes) => packets.push(bytes));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed after ${received} bytes`)));
  });
}

serve({
  run: async (downloads: Downloads) => {
    const began = performance.now();
    const sums = await Promise.all(Array.from({ length: downloads.devices }, (_, index) => download(downloads, index)));
    return { sums, seconds: (performance.now() - began) / 1_000, sent: 0, lost: 0 };
  },
});
