import type { Socket } from "node:dgram";
import { generate } from "coap-packet";
import { serve } from "./calls.ts";
import {
  ackRandomFactor,
  ackTimeoutMs,
  coapSocket,
  confirmable,
  emptyAck,
  isEmpty,
  maxRetransmit,
  messageIdOf,
  pathOptions,
  typeOf,
} from "./coap-socket.ts";

interface Load {
  readonly port: number;
  readonly devices: number;
  /** Posts a second, of all devices together. */
  readonly rate: number;
  readonly seconds: number;
}

interface Post {
  readonly socket: Socket;
  readonly bytes: Buffer;
  readonly began: number;
  tries: number;
  waitMs: number;
  due: number;
}

const tickMs = 5;
const slowMs = 1_000;
/** A message id in the heading, and the same in the token: what a separate answer is told by. */
function post(template: Buffer, id: number): Buffer {
  const bytes = Buffer.from(template);
  bytes.writeUInt16BE(id, 2);
  bytes.writeUInt16BE(id, 4);
  return bytes;
}

class Device {
  readonly #template: Buffer;
  readonly #open = new Map<number, Post>();
  readonly #sums: Sums;
  #socket: Socket | undefined;
  #id = Math.floor(Math.random() * 65_536);

  constructor(index: number, sums: Sums) {
    const token = `DW${String(index).padStart(8, "0")}`;
    this.#sums = sums;
    this.#template = generate({
      ...{ confirmable: true, code: "POST", messageId: 0, token: Buffer.alloc(2) },
      options: pathOptions(`api/v1/${token}/telemetry`),
      payload: Buffer.from('{"temperature":25.5,"humidity":41,"on":true}'),
    });
  }

  get waiting(): number {
    return this.#open.size;
  }

  async open(port: number): Promise<void> {
    this.#socket = await coapSocket(port, (bytes) => this.#take(bytes));
  }

  send(now: number): void {
    this.#id = (this.#id + 1) & 0xffff;
    const waitMs = ackTimeoutMs * (1 + Math.random() * (ackRandomFactor - 1));
    const bytes = post(this.#template, this.#id);
    const socket = this.#socket as Socket;
    this.#open.set(this.#id, { socket, bytes, began: now, tries: 0, waitMs, due: now + waitMs });
    this.#sums.sent++;
    socket.send(bytes);
  }

  /** Sends again what is not acknowledged in time. */
  look(now: number): void {
    for (const [id, one] of this.#open) {
      if (now < one.due) continue;
      if (one.tries === maxRetransmit) {
        this.#open.delete(id);
        this.#sums.lost++;
        continue;
      }
      one.tries++;
      one.waitMs *= 2;
      one.due = now + one.waitMs;
      this.#sums.again++;
      one.socket.send(one.bytes);
    }
  }

  close(): void {
    this.#socket?.close();
  }

  #take(bytes: Buffer): void {
    if (isEmpty(bytes)) return this.#acknowledged(messageIdOf(bytes));
    if (typeOf(bytes) === confirmable) this.#socket?.send(emptyAck(messageIdOf(bytes)));
    const id = bytes.readUInt16BE(4);
    const one = this.#open.get(id);
    if (one === undefined) return;
    this.#open.delete(id);
    if (bytes[1] !== 0x41) this.#sums.refused++;
    else this.#answered(one.began, performance.now() - one.began);
  }

  #answered(began: number, tookMs: number): void {
    this.#sums.tookMs.push(tookMs);
    if (tookMs > slowMs) this.#sums.slowSeconds.add(Math.floor((began - this.#sums.began) / 1_000));
  }

  /** The answer follows in a message of its own; a copy of the request would say nothing new. */
  #acknowledged(id: number): void {
    const one = this.#open.get(id);
    if (one !== undefined) one.due += 60_000;
  }
}

interface Sums {
  sent: number;
  again: number;
  lost: number;
  refused: number;
  readonly tookMs: number[];
  began: number;
  /** Seconds of the load, from 0, with posts that waited longer than `slowMs`. */
  readonly slowSeconds: Set<number>;
}

serve({
  run: async ({ port, devices: count, rate, seconds }: Load) => {
    const sums: Sums = {
      sent: 0,
      again: 0,
      lost: 0,
      refused: 0,
      tookMs: [],
      began: performance.now(),
      slowSeconds: new Set(),
    };
    const devices = Array.from({ length: count }, (_, index) => new Device(index, sums));
    for (const device of devices) await device.open(port);
    const began = performance.now();
    sums.began = began;
    let looked = 0;
    while (performance.now() < began + seconds * 1_000) {
      await new Promise((resolve) => setTimeout(resolve, tickMs));
      const now = performance.now();
      const due = Math.min(((now - began) / 1_000) * rate, seconds * rate);
      while (sums.sent + 1 <= due) devices[sums.sent % count]?.send(now);
      if (now - looked < 100) continue;
      looked = now;
      for (const device of devices) device.look(now);
    }
    const lasted = (performance.now() - began) / 1_000;
    while (devices.some(({ waiting }) => waiting > 0)) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (const device of devices) device.look(performance.now());
    }
    for (const device of devices) device.close();
    const { tookMs, slowSeconds, began: _, ...told } = sums;
    const sorted = Float64Array.from(tookMs).sort();
    const at = (p: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN;
    return {
      ...told,
      slowSeconds: [...slowSeconds].sort((a, b) => a - b),
      lasted,
      answered: sorted.length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      mostMs: at(1),
    };
  },
});
