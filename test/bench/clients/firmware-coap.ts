import { createHash, type Hash } from "node:crypto";
import type { Socket } from "node:dgram";
import { generate, parse } from "coap-packet";
import { serve } from "./calls.ts";
import { coapSocket, confirmable, emptyAck, isEmpty, messageIdOf, pathOptions, typeOf } from "./coap-socket.ts";

interface Downloads {
  readonly port: number;
  readonly devices: number;
  /** Share of the datagrams, of either direction, that never arrive. */
  readonly loss: number;
}

/** Blocks of 1,024 bytes. */
const szx = 6;
/**
 * A device on a line with 2 s to wait after each loss takes hours for ten thousand blocks; this one knows that its line is
 * short (RFC 7252 section 4.8.1 lets it).
 */
const firstWaitMs = 50;
const mostWaitMs = 2_000;

const sums = { sent: 0, lost: 0 };
let loss = 0;
const isLost = () => {
  if (Math.random() >= loss) return false;
  sums.lost++;
  return true;
};

/** A package block by block over a line that loses datagrams (device-api 4.7, RFC 7959). */
class Device {
  readonly #path: ReturnType<typeof pathOptions>;
  readonly #hash: Hash = createHash("sha256");
  readonly done: Promise<string>;
  #resolve: (sum: string) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #socket: Socket | undefined;
  #id = Math.floor(Math.random() * 65_536);
  #block = 0;
  #etag: string | undefined;
  #request: Buffer = Buffer.alloc(0);
  #waitMs = 0;
  #due = Number.POSITIVE_INFINITY;

  constructor(index: number) {
    this.#path = pathOptions(`fw/DW${String(index).padStart(8, "0")}`);
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  async begin(port: number): Promise<void> {
    this.#socket = await coapSocket(port, (bytes) => {
      if (!isLost()) this.#message(bytes);
    });
    this.#ask();
  }

  look(now: number): void {
    if (now < this.#due) return;
    this.#waitMs = Math.min(this.#waitMs * 2, mostWaitMs);
    this.#send();
  }

  #ask(): void {
    this.#id = (this.#id + 1) & 0xffff;
    const block = (this.#block << 4) | szx;
    this.#request = generate({
      ...{ confirmable: true, code: "GET", messageId: this.#id, token: Buffer.from("fw") },
      options: [...this.#path, { name: "Block2", value: Buffer.from([block >> 16, (block >> 8) & 255, block & 255]) }],
    });
    this.#waitMs = firstWaitMs;
    this.#send();
  }

  #send(): void {
    this.#due = performance.now() + this.#waitMs;
    sums.sent++;
    if (!isLost()) this.#socket?.send(this.#request);
  }

  #message(bytes: Buffer): void {
    if (isEmpty(bytes)) return; // The answer follows; should it be lost, the server sends it again.
    if (typeOf(bytes) === confirmable && !isLost()) this.#socket?.send(emptyAck(messageIdOf(bytes)));
    const { code, options, payload } = parse(bytes);
    if (code !== "2.05") return this.#reject(new Error(`block ${this.#block}: ${code}`));
    const option = (name: string) => options.find((one) => one.name === name)?.value ?? Buffer.alloc(0);
    const block2 = option("Block2");
    const block = block2.length === 0 ? 0 : block2.readUIntBE(0, block2.length);
    if (block >> 4 !== this.#block) return; // A copy of one before.
    const etag = option("ETag").toString("hex");
    this.#etag ??= etag;
    if (etag !== this.#etag) return this.#reject(new Error("the package has changed"));
    this.#hash.update(payload);
    this.#block++;
    if (block & 8) return this.#ask();
    this.#due = Number.POSITIVE_INFINITY;
    this.#socket?.close();
    this.#socket = undefined;
    this.#resolve(this.#hash.digest("hex"));
  }
}

serve({
  run: async (downloads: Downloads) => {
    loss = downloads.loss;
    const began = performance.now();
    const devices = Array.from({ length: downloads.devices }, (_, index) => new Device(index));
    for (const device of devices) await device.begin(downloads.port);
    const looking = setInterval(() => {
      const now = performance.now();
      for (const device of devices) device.look(now);
    }, 10);
    const found = await Promise.all(devices.map(({ done }) => done));
    clearInterval(looking);
    return { sums: found, seconds: (performance.now() - began) / 1_000, ...sums };
  },
});
