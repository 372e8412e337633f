import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { inTurn, machineMs, serve } from "./calls.ts";
import { connectPacket, Packets, subscribePacket, types } from "./mqtt-wire.ts";

interface Fleet {
  readonly port: number;
  readonly tls: boolean;
  readonly count: number;
  /** Number of the first device; 0 if absent. */
  readonly first?: number;
  /** What each subscribes to; nothing where it only stays. */
  readonly topic?: string;
}

/** A device that answers nothing for so long has no connection. */
const patienceMs = 15_000;
/** Until the next attempt, between half of it and the whole. */
const retryMs = 1_000;

/** Stays connected, and subscribed where it is told to, whatever happens. */
class Device {
  readonly #token: string;
  readonly #fleet: Fleet;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onUp: () => void = () => {};
  /** On the machine's clock; undefined while it is not up. */
  upAt: number | undefined;
  attempts = 0;

  constructor(fleet: Fleet, index: number) {
    this.#fleet = fleet;
    this.#token = `DW${String((fleet.first ?? 0) + index).padStart(8, "0")}`;
  }

  up(): Promise<void> {
    return new Promise((resolve) => {
      this.#onUp = resolve;
      if (this.upAt !== undefined) resolve();
      else if (this.#socket === undefined && this.#timer === undefined) this.#connect();
    });
  }

  /** As a power cut of the device's router does it; it comes back at once. */
  drop(): void {
    this.#socket?.resetAndDestroy();
  }

  #connect(): void {
    this.attempts++;
    const { port, tls, topic } = this.#fleet;
    const begin = () => socket.write(connectPacket(this.#token));
    const socket = tls
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, begin)
      : connectTcp(port, "127.0.0.1", begin);
    this.#socket = socket;
    this.#timer = setTimeout(() => socket.destroy(), patienceMs);
    const packets = new Packets((first, body) => {
      const type = first >> 4;
      if (type === types.connack && body[1] !== 0) socket.destroy();
      else if (type === types.connack && topic !== undefined) socket.write(subscribePacket(topic, 1));
      else if (type === types.connack || type === types.suback) this.#isUp();
    });
    socket.on("data", (chunk) => packets.push(chunk));
    socket.on("error", () => {}); // `close` follows.
    socket.on("close", () => this.#isDown());
  }

  #isUp(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.upAt = machineMs();
    this.#onUp();
  }

  #isDown(): void {
    clearTimeout(this.#timer);
    const wasUp = this.upAt !== undefined;
    this.upAt = undefined;
    this.#socket = undefined;
    const wait = wasUp ? 0 : retryMs * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }
}

let devices: Device[] = [];

/** When the last of those that were lost at `since` or later was back; all of them must have been lost. */
async function back(since: number): Promise<{ lastMs: number; attempts: number }> {
  while (!devices.every(({ upAt }) => upAt !== undefined && upAt >= since)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const lastMs = Math.max(...devices.map(({ upAt = 0 }) => upAt)) - since;
  return { lastMs, attempts: devices.reduce((sum, { attempts }) => sum + attempts, 0) };
}

serve({
  open: async (fleet: Fleet) => {
    devices = Array.from({ length: fleet.count }, (_, index) => new Device(fleet, index));
    await inTurn({ count: fleet.count, atOnce: 100 }, async (index) => devices[index]?.up());
    for (const device of devices) device.attempts = 0;
  },
  drop: () => {
    const since = machineMs();
    for (const device of devices) device.drop();
    return back(since);
  },
  back: ({ since }: { since: number }) => back(since),
});
